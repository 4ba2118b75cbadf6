"""The virtual load generator, and what would be measured of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocminfra.planning.engine.core import EngineCore
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, VisionShape
from rocminfra.planning.engine.scheduler import SchedulerConfig
from rocminfra.planning.prediction.api_server import ApiServer
from rocminfra.planning.prediction.point_figures import figures, weighted_quantile
from rocminfra.planning.prediction.virtual_run import Load, Moment, Record, Trace, run
from rocminfra.planning.prediction.workload import ChatText, ScannedPages, SyntheticText

VISION = QWEN2_VL_72B.vision or VisionShape(1, 1, 1)


@settings(max_examples=40)
@given(
    prompt=st.integers(1, 400),
    output=st.integers(1, 60),
    streams=st.integers(1, 12),
    rate=st.none() | st.floats(0.1, 20),
    blocks=st.integers(31, 120),
    seconds=st.floats(1, 20),
)
def test_whatever_is_sent_tokens_are_conserved_and_time_goes_forward(
    prompt: int, output: int, streams: int, rate: float | None, blocks: int, seconds: float
) -> None:
    core = EngineCore(SchedulerConfig(num_gpu_blocks=blocks, max_num_seqs=8))
    trace = run(core, SyntheticText(prompt, output, 0), Load(streams, rate), seconds)
    assert all(one.at <= two.at for one, two in pairwise(trace.moments))
    assert all(0.0 <= moment.kv_usage <= 1.0 for moment in trace.moments)
    open_at_most = sum(not record.completed for record in trace.records)
    assert open_at_most <= streams
    for record in trace.records:
        assert record.completed == (record.generated == output)
        assert (record.first_token is None) == (record.generated == 0)
        if record.first_token is not None and record.last_token is not None:
            assert record.sent <= record.first_token <= record.last_token <= seconds
    # What the engine still has plus what it gave is what was sent.
    held = core.scheduler.running + core.scheduler.waiting
    assert held <= len(trace.records)


def test_streams_send_the_next_request_when_one_has_ended() -> None:
    trace = run(EngineCore(), SyntheticText(500, 10), Load(1), 20.0)
    done = [record for record in trace.records if record.completed]
    assert len(done) > 10
    for one, two in pairwise(done):
        assert two.sent == one.last_token


def test_a_constant_rate_is_one() -> None:
    trace = run(EngineCore(), SyntheticText(100, 5), Load(512, 2.0), 10.0)
    assert [record.sent for record in trace.records[:4]] == [0.0, 0.5, 1.0, 1.5]
    assert len(trace.records) == 20


def test_random_gaps_have_the_same_mean_and_are_the_same_every_time() -> None:
    def sent() -> list[float]:
        load = Load(512, 2.0, is_random=True)
        return [one.sent for one in run(EngineCore(), SyntheticText(50, 2), load, 100.0).records]

    assert sent() == sent()
    assert 150 < len(sent()) < 250


def test_a_number_of_requests_ends_it() -> None:
    trace = run(EngineCore(), SyntheticText(100, 5), Load(4, most_requests=10), 100.0)
    assert [record.completed for record in trace.records] == [True] * 10


def test_pages_are_prepared_one_after_the_other() -> None:
    pages = ScannedPages(VISION)
    slow = run(EngineCore(), pages, Load(4), 60.0, ApiServer(preprocess_s_per_megapixel=1.0))
    fast = run(EngineCore(), pages, Load(4), 60.0)
    # 3.86 s a page: the fourth is there after 15 s.
    assert (slow.records[3].first_token or 0.0) > 4 * 3.86
    assert (fast.records[3].first_token or 0.0) < 12.0


def test_requests_that_come_together_reach_the_engine_when_the_last_has_been_read() -> None:
    server = ApiServer(request_s=0.5)
    text = SyntheticText(100, 3)
    together = run(EngineCore(), text, Load(8, most_requests=8), 60.0, server)
    alone = run(EngineCore(), text, Load(1, most_requests=8), 60.0, server)
    assert min(one.ttft_s or 0.0 for one in together.records) > 4.0
    assert max(one.ttft_s or 0.0 for one in alone.records) < 1.0


def test_tokens_wait_while_requests_are_read_and_leave_as_one_piece() -> None:
    """The second request takes the server two seconds, in which the first is answered in full."""
    load = Load(2, 10.0, most_requests=2)
    slow = run(EngineCore(), SyntheticText(100, 10), load, 60.0, ApiServer(request_s=2.0))
    first, second = slow.records
    assert first.first_token == first.last_token
    assert (first.first_token or 0.0) >= 4.0
    assert first.generated == second.generated == 10
    assert slow.ended is not None


def test_a_step_that_was_chosen_ahead_has_no_room_for_who_comes_meanwhile() -> None:
    load, text = Load(8, 7.0, most_requests=40), SyntheticText(200, 60)
    now = run(EngineCore(), text, load, 60.0)
    ahead = run(EngineCore(), text, load, 60.0, is_scheduled_ahead=True)
    waits = [sum(one.ttft_s or 0.0 for one in trace.records) / 40 for trace in (now, ahead)]
    step = (now.ended or 0.0) / now.steps
    # One more step on average, whatever it is that the engine does meanwhile.
    assert 0.5 * step < waits[1] - waits[0] < 2 * step
    # Nobody is running: there is nothing to wait for.
    alone = run(EngineCore(), text, Load(1, most_requests=1), 60.0, is_scheduled_ahead=True)
    assert (
        alone.records[0].ttft_s
        == run(EngineCore(), text, Load(1, most_requests=1), 60.0).records[0].ttft_s
    )


@settings(max_examples=40)
@given(
    streams=st.integers(1, 12),
    rate=st.none() | st.floats(0.5, 20),
    most=st.integers(1, 30),
    request_s=st.sampled_from([0.0, 0.01, 0.3]),
    token_s=st.sampled_from([0.0, 1e-4, 0.02]),
    is_ahead=st.booleans(),
)
def test_every_request_ends_whatever_the_server_takes(
    streams: int, rate: float | None, most: int, request_s: float, token_s: float, is_ahead: bool
) -> None:
    server = ApiServer(0.005, request_s, token_s)
    load = Load(streams, rate, most_requests=most)
    text = SyntheticText(50, 7, 0)
    trace = run(EngineCore(), text, load, 1e4, server, is_scheduled_ahead=is_ahead)
    assert len(trace.records) == most
    assert all(one.completed and one.generated == 7 for one in trace.records)
    assert trace.ended is not None
    assert trace.ended >= max(one.last_token or 0.0 for one in trace.records)


def test_the_published_page_has_the_published_tokens() -> None:
    request = ScannedPages(VISION).request(0)
    assert request.prompt_tokens == 4_996
    assert request.output_tokens == 19
    assert SyntheticText(8_192, 1_024).request(0).prompt_tokens == 8_211
    capped = ScannedPages(VISION, max_pixels=1_003_520).request(0)
    assert capped.prompt_tokens < 1_300


def test_pages_and_answers_vary_when_they_are_told_to() -> None:
    varied = ScannedPages(VISION, pixels_spread=0.2, output_spread=0.4)
    drawn = [varied.request(number) for number in range(50)]
    assert drawn == [varied.request(number) for number in range(50)]
    assert len({request.prompt_tokens for request in drawn}) > 10
    assert len({request.output_tokens for request in drawn}) > 5


def record(sent: float, first: float, last: float, generated: int, completed: bool) -> Record:
    return Record(0, sent, 100, generated, first, last, completed)


def test_the_window_counts_as_guidellm_does() -> None:
    trace = Trace(
        20.0,
        [
            record(0.0, 2.0, 9.0, 8, True),  # ended in the warm-up: in no population
            record(0.0, 5.0, 15.0, 11, True),  # first token in the warm-up: half of the rest
            record(9.0, 12.0, 16.0, 5, True),
            record(15.0, 18.0, 20.0, 3, False),
            Record(4, 19.0, 100),  # nothing came
        ],
        [Moment(0.0, 0.5, 1, 0)],
    )
    found = figures([trace], 10.0)
    assert (found.completed, found.incomplete) == (2, 2)
    assert found.requests_per_second == pytest.approx(0.2)
    assert found.ttft_median_s == 3.0
    # 1.0 with a weight of 10 and of 4.
    assert found.itl_median_s == 1.0
    assert found.tokens_per_s_completed == pytest.approx((111 + 105) / 10)
    assert found.tokens_per_s_all == pytest.approx((5 + 105 + 103) / 10)
    assert found.tokens_per_s_all_0_6 == pytest.approx((108 + 111 + 105 + 103) / 18)


def test_the_log_samples_the_cache_every_ten_seconds() -> None:
    # Full for 5 of 40 seconds: half of all phases see it. Idle moments are not logged.
    moments = [
        Moment(0.0, 0.2, 1, 0),
        Moment(10.0, 1.0, 1, 0),
        Moment(15.0, 0.2, 1, 0),
        Moment(30.0, 0.0, 0, 0),
    ]
    found = figures([Trace(40.0, [], moments)], 0.0)
    assert found.kv_usage_min == pytest.approx(0.2)
    assert found.kv_usage_max == pytest.approx(0.6)


def test_nothing_measured_is_none_and_no_zero() -> None:
    found = figures([Trace(10.0)], 0.0)
    assert (found.ttft_median_s, found.itl_median_s) == (None, None)
    assert (found.kv_usage_min, found.kv_usage_max) == (None, None)
    with pytest.raises(ValueError, match="leaves nothing"):
        figures([Trace(10.0)], 10.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 5)), max_size=20), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values(values: list[tuple[float, int]], share: float) -> None:
    found = weighted_quantile(values, share)
    if sum(weight for _, weight in values) == 0:
        assert found is None
    else:
        assert found in [value for value, _ in values]


def test_chats_have_the_mean_lengths_that_are_asked_for() -> None:
    chats = [ChatText(217.4, 201.6).request(number) for number in range(2_000)]
    assert sum(one.prompt_tokens for one in chats) / 2_000 == pytest.approx(217.4, rel=0.1)
    assert sum(one.output_tokens for one in chats) / 2_000 == pytest.approx(201.6, rel=0.1)
    assert max(one.output_tokens for one in chats) <= 1_024
    short = [ChatText(217.4, 60.0, most_output=100).request(number) for number in range(100)]
    assert max(one.output_tokens for one in short) == 100
