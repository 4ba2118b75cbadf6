"""The disk decision over made-up hosts: what must hold for every one of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

from disk_invariants import check
from disk_worlds import BLANK, CHANGES, STARTS, acted, disk, host, scratch_fs, wanted, worlds
from failing import next_of
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from rocminfra.planning.disk.decide import Decision, Format, Keep, Mount, Refuse, decide
from rocminfra.planning.disk.observation import PROBES, Desired, Finding, Look, Observed

World = tuple[Observed, Desired]
MANY = settings(max_examples=600, deadline=None)


@MANY
@given(worlds())
def test_no_decision_is_one_to_regret(world: World) -> None:
    """No sign of data, failed probe or disagreement leads to a format; see disk_invariants.py."""
    decision = decide(*world)
    event(type(decision).__name__)
    check(*world, decision)


@MANY
@given(worlds())
def test_deciding_twice_gives_the_same(world: World) -> None:
    observed, desired = world
    assert decide(observed, desired) == decide(replace(observed), replace(desired))


@MANY
@given(worlds())
def test_acting_and_looking_again_finds_everything_right(world: World) -> None:
    observed, desired = world
    decision = decide(observed, desired)
    if not isinstance(decision, Format | Mount):
        return
    event(type(decision).__name__)
    again = decide(acted(observed, desired, decision), desired)
    assert isinstance(again, Keep), again
    assert again.uuid == decision.uuid
    assert again.device.number == decision.device.number


@MANY
@given(worlds())
def test_a_refusal_says_what_and_what_to_do_next(world: World) -> None:
    decision = decide(*world)
    if not isinstance(decision, Refuse):
        return
    assert decision.failure.what
    assert next_of(decision.failure)
    assert "\n" not in decision.failure.what
    if decision.token is not None:
        assert decision.token in next_of(decision.failure)


@MANY
@given(worlds())
def test_the_token_of_a_refusal_is_the_one_that_permits(world: World) -> None:
    observed, desired = world
    decision = decide(observed, desired)
    if not isinstance(decision, Refuse) or decision.token is None:
        return
    permitted = decide(observed, replace(desired, wipe=(decision.token,)))
    assert isinstance(permitted, Format)
    assert permitted.token == decision.token
    assert permitted.device == decision.device


def test_every_pair_of_changes_to_every_start() -> None:
    seen = Counter(
        type(decide_and_check(change_2(change_1(start)))).__name__
        for start in STARTS
        for change_1, change_2 in combinations(CHANGES, 2)
    )
    assert seen.total() > 50_000
    assert min(seen[name] for name in ("Format", "Keep", "Mount", "Refuse")) > 500, seen


def decide_and_check(world: World) -> Decision:
    decision = decide(*world)
    check(*world, decision)
    return decision


@given(
    st.integers(0, len(PROBES) - 1),
    st.sampled_from((Finding.DATA, Finding.BUSY, Finding.UNKNOWN, None)),
    st.sampled_from(("auto", "/dev/vdc")),
)
@example(0, None, "auto")
def test_one_probe_that_does_not_say_blank_is_enough(
    index: int, finding: Finding | None, device: str
) -> None:
    changed = () if finding is None else (Look(PROBES[index], finding, "this one differs"),)
    looks = (*BLANK[:index], *changed, *BLANK[index + 1 :])
    desired = wanted(device=device)
    assert isinstance(decide(host(disk(looks=BLANK)), desired), Format)
    assert isinstance(decide(host(disk(looks=looks)), desired), Refuse)


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_text_but_the_token_is_a_token(text: str, tail: str) -> None:
    device = disk(looks=scratch_fs(label="data"))
    refusal = decide(host(device), wanted(device="/dev/vdc"))
    assert isinstance(refusal, Refuse)
    assert refusal.token is not None
    wrong = (
        text,
        f"{refusal.token}{tail}x",
        refusal.token[:-1],
        refusal.token.upper(),
        f" {refusal.token}",
        tail,
    )
    tokens = tuple(t for t in wrong if t != refusal.token)
    assert isinstance(decide(host(device), wanted(device="/dev/vdc", wipe=tokens)), Refuse)
