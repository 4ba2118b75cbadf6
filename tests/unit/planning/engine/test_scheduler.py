"""The scheduler keeps vLLM's rules, whatever the requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scheduler_worlds import worlds

from rocminfra.planning.engine.kv_cache import blocks_for
from rocminfra.planning.engine.request import ImageSpan, Request
from rocminfra.planning.engine.scheduler import Scheduler, SchedulerConfig

World = tuple[SchedulerConfig, list[tuple[float, Request]]]


def drain(scheduler: Scheduler) -> dict[str, int]:
    """Run until nothing is left and count each request's tokens, checking every step."""
    tokens: dict[str, int] = {}
    held: dict[str, int] = {}
    for _ in range(100_000):
        step = scheduler.schedule()
        if step is None:
            assert scheduler.running == scheduler.waiting == 0
            assert scheduler.pool.used == 0
            assert scheduler.encoder_cache.free == scheduler.encoder_cache.size
            return tokens
        for request_id in step.preempted:
            held[request_id] = 0
        config = scheduler.config
        assert 0 < step.tokens <= config.max_num_batched_tokens
        assert scheduler.running <= config.max_num_seqs
        assert 0 <= scheduler.pool.free <= scheduler.pool.usable
        assert scheduler.encoder_cache.free >= 0
        for chunk in step.chunks:
            held[chunk.request_id] = chunk.context + chunk.tokens
            needed = blocks_for(held[chunk.request_id], config.block_size)
            assert scheduler.pool.held_by(chunk.request_id) >= needed
        done = scheduler.complete(step)
        for request_id in done.tokens:
            tokens[request_id] = tokens.get(request_id, 0) + 1
    raise AssertionError("the requests never end")


@given(worlds())
def test_blocks_are_never_over_committed_and_every_request_gives_its_tokens(world: World) -> None:
    config, arrivals = world
    scheduler = Scheduler(config)
    for _, request in arrivals:
        scheduler.add(request)
    assert drain(scheduler) == {request.id: request.output_tokens for _, request in arrivals}


@given(worlds(), st.data())
def test_an_abort_frees_everything_and_stops_nobody_else(world: World, data: st.DataObject) -> None:
    config, arrivals = world
    scheduler = Scheduler(config)
    for _, request in arrivals:
        scheduler.add(request)
    victims = data.draw(st.sets(st.sampled_from([request.id for _, request in arrivals] or ["-"])))
    step = scheduler.schedule()
    for victim in sorted(victims):
        assert scheduler.abort(victim) is bool(arrivals)
    given_tokens: dict[str, int] = {}
    if step is not None:
        done = scheduler.complete(step)
        assert not victims & set(done.tokens)
        given_tokens = dict.fromkeys(done.tokens, 1)
    for request_id, count in drain(scheduler).items():
        given_tokens[request_id] = given_tokens.get(request_id, 0) + count
    assert given_tokens == {
        request.id: request.output_tokens for _, request in arrivals if request.id not in victims
    }


def test_decodes_come_before_prefill_and_share_its_budget() -> None:
    scheduler = Scheduler(SchedulerConfig(max_num_batched_tokens=100, max_num_seqs=4))
    scheduler.add(Request("a", 30, 5))
    first = scheduler.schedule()
    assert first is not None
    scheduler.complete(first)
    scheduler.add(Request("b", 250, 1))
    step = scheduler.schedule()
    assert step is not None
    assert [(chunk.request_id, chunk.tokens) for chunk in step.chunks] == [("a", 1), ("b", 99)]
    assert [chunk.samples for chunk in step.chunks] == [True, False]


def test_the_last_one_admitted_is_preempted_and_computed_again() -> None:
    # 7 usable blocks of 4 tokens; both prompts fit, both answers do not.
    config = SchedulerConfig(num_gpu_blocks=8, block_size=4, max_model_len=24)
    scheduler = Scheduler(config)
    scheduler.add(Request("first", 12, 8))
    scheduler.add(Request("second", 12, 8))
    preempted: list[str] = []
    contexts: dict[str, list[int]] = {"first": [], "second": []}
    while (step := scheduler.schedule()) is not None:
        preempted.extend(step.preempted)
        for chunk in step.chunks:
            contexts[chunk.request_id].append(chunk.context)
        scheduler.complete(step)
    assert preempted == ["second"]
    assert scheduler.preemptions == 1
    assert contexts["first"].count(0) == 1
    assert contexts["second"].count(0) == 2


def test_a_prompt_that_does_not_fit_whole_waits_and_keeps_the_queue_in_order() -> None:
    config = SchedulerConfig(num_gpu_blocks=11, block_size=16, max_num_batched_tokens=64)
    scheduler = Scheduler(config)
    for name, tokens in (("a", 100), ("b", 100), ("c", 10)):
        scheduler.add(Request(name, tokens, 2))
    step = scheduler.schedule()
    assert step is not None
    assert step.admitted == ("a",)
    assert scheduler.waiting == 2


def test_without_the_reservation_a_first_chunk_is_enough_to_be_admitted() -> None:
    config = SchedulerConfig(
        num_gpu_blocks=11, block_size=16, max_num_batched_tokens=120, reserve_full_prompt=False
    )
    scheduler = Scheduler(config)
    scheduler.add(Request("a", 100, 2))
    scheduler.add(Request("b", 100, 2))
    step = scheduler.schedule()
    assert step is not None
    assert step.admitted == ("a", "b")


def test_an_image_is_encoded_once_and_before_its_first_token() -> None:
    config = SchedulerConfig(max_num_batched_tokens=40, max_num_seqs=4, encoder_tokens=100)
    scheduler = Scheduler(config)
    scheduler.add(Request("a", 120, 1, (ImageSpan(10, 90, 360),)))
    encoded = []
    while (step := scheduler.schedule()) is not None:
        encoded.append(step.encoded_patches)
        scheduler.complete(step)
    assert encoded == [(360,), (), ()]


def test_an_image_without_room_in_the_encoder_holds_its_prompt_up_before_it() -> None:
    config = SchedulerConfig(max_num_batched_tokens=500, max_num_seqs=4, encoder_tokens=100)
    scheduler = Scheduler(config)
    scheduler.add(Request("a", 100, 1, (ImageSpan(0, 90, 360),)))
    scheduler.add(Request("b", 100, 1, (ImageSpan(20, 60, 240),)))
    step = scheduler.schedule()
    assert step is not None
    assert [(chunk.request_id, chunk.tokens) for chunk in step.chunks] == [("a", 100), ("b", 20)]


@pytest.mark.parametrize(
    "request_",
    [
        Request("long", 16_384, 1),
        Request("image", 20_000, 1, (ImageSpan(0, 16_385, 70_000),)),
    ],
    ids=lambda request_: request_.id,
)
def test_what_can_never_be_served_is_refused_at_once(request_: Request) -> None:
    scheduler = Scheduler(SchedulerConfig(max_model_len=16_384))
    with pytest.raises(ValueError, match=request_.id):
        scheduler.add(request_)
    assert scheduler.waiting == 0


def test_an_id_is_taken_once() -> None:
    scheduler = Scheduler()
    scheduler.add(Request("a", 1, 1))
    with pytest.raises(ValueError, match="already exists"):
        scheduler.add(Request("a", 1, 1))
    assert not scheduler.abort("b")


@pytest.mark.parametrize(
    "images",
    [
        (ImageSpan(0, 5, 20), ImageSpan(4, 2, 8)),
        (ImageSpan(8, 3, 12),),
    ],
)
def test_images_lie_in_the_prompt_one_after_the_other(images: tuple[ImageSpan, ...]) -> None:
    with pytest.raises(ValueError, match="image"):
        Request("a", 10, 1, images)


def test_limits_that_vllm_refuses_are_refused() -> None:
    with pytest.raises(ValueError, match="max_num_batched_tokens"):
        SchedulerConfig(max_num_seqs=64, max_num_batched_tokens=63)


def test_cached_tokens_are_not_computed_and_keep_their_blocks() -> None:
    scheduler = Scheduler(SchedulerConfig(num_gpu_blocks=200))
    scheduler.add(Request("a", 1_000, 10, cached_tokens=960))
    step = scheduler.schedule()
    assert step is not None
    assert [(chunk.tokens, chunk.context) for chunk in step.chunks] == [(40, 960)]
    assert scheduler.pool.held_by("a") == 63
    assert scheduler.complete(step).tokens == ("a",)


def test_a_preempted_sequence_finds_its_prefix_again() -> None:
    scheduler = Scheduler(SchedulerConfig(num_gpu_blocks=9, max_model_len=128))
    scheduler.add(Request("a", 60, 60, cached_tokens=48))
    scheduler.add(Request("b", 60, 60, cached_tokens=48))
    contexts: list[int] = []
    while (step := scheduler.schedule()) is not None:
        contexts += [chunk.context for chunk in step.chunks if chunk.tokens > 1]
        scheduler.complete(step)
    assert scheduler.preemptions > 0
    assert min(contexts) == 48


def test_all_of_a_prompt_cannot_be_cached() -> None:
    with pytest.raises(ValueError, match="cannot be cached"):
        Request("a", 100, 10, cached_tokens=100)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [(2_000, "more than --max-model-len 512"), (20, "that the KV cache keeps")],
)
def test_what_bounds_a_request_is_named(blocks: int, words: str) -> None:
    scheduler = Scheduler(SchedulerConfig(num_gpu_blocks=blocks, max_model_len=512))
    with pytest.raises(ValueError, match=words):
        scheduler.add(Request("a", 500, 100))
