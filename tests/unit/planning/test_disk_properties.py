"""The disk decision over made-up hosts: what must hold for every one of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from disk_worlds import BLANK, CHANGES, HOST, STARTS, acted, disk, host, scratch_fs, wanted, worlds
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from rocminfra.planning.disk import Format, Keep, Mount, Refuse, decide
from rocminfra.planning.disk_observation import PROBES, Desired, Finding, Look, Observed

World = tuple[Observed, Desired]
MANY = settings(max_examples=600, deadline=None)


@MANY
@given(worlds())
def test_only_a_disk_that_every_probe_calls_blank_is_formatted_without_a_token(
    world: World,
) -> None:
    observed, desired = world
    decision = decide(observed, desired)
    event(type(decision).__name__)
    if not isinstance(decision, Format) or decision.token is not None:
        return
    said = {look.probe: look.finding for look in decision.device.looks}
    assert said == dict.fromkeys(PROBES, Finding.BLANK)
    assert all(look.finding is Finding.BLANK for look in decision.device.looks)
    assert not decision.device.signatures
    assert not decision.device.problems


@MANY
@given(worlds())
def test_data_is_destroyed_only_with_a_token_for_this_host_this_disk_and_its_identity(
    world: World,
) -> None:
    observed, desired = world
    decision = decide(observed, desired)
    if not isinstance(decision, Format) or decision.token is None:
        return
    device = decision.device
    assert decision.token in desired.wipe
    name, path, identity = decision.token.split(":", 2)
    assert name == HOST
    assert path in (device.path, *device.by_id)
    assert identity == str(device.identity)
    findings = {look.finding for look in device.looks}
    assert findings <= {Finding.BLANK, Finding.DATA}
    assert {look.probe for look in device.looks} == set(PROBES)


@MANY
@given(worlds())
def test_what_is_used_is_never_formatted_token_or_not(world: World) -> None:
    observed, desired = world
    decision = decide(observed, desired)
    if not isinstance(decision, Format):
        return
    device = decision.device
    family = {device.number, *(d.number for d in observed.devices if d.parent == device.number)}
    assert not family & {mount.number for mount in observed.mounts}
    assert not family & set(observed.swaps)
    assert not device.holders
    assert not device.users
    assert not device.read_only
    assert device.kind != "rom"
    assert device.name not in ("vda", "vda1", "vdb")
    assert not observed.problems
    if desired.expected_size is not None:
        assert abs(device.size - desired.expected_size) <= 0.05 * desired.expected_size


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
    assert decision.what
    assert decision.next_command
    assert "\n" not in decision.what
    if decision.token is not None:
        assert decision.token in decision.next_command


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


def test_every_pair_of_changes_to_every_start_keeps_what_a_format_needs() -> None:
    tried = 0
    for start in STARTS:
        for pair in combinations(CHANGES, 2):
            world = pair[1](pair[0](start))
            decision = decide(*world)
            tried += 1
            if not isinstance(decision, Format):
                continue
            findings = {decision.device.look(probe).finding for probe in PROBES}
            allowed = {Finding.BLANK} if decision.token is None else {Finding.BLANK, Finding.DATA}
            assert findings <= allowed
            assert decision.token is None or decision.token in world[1].wipe
    assert tried > 50_000


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
    wrong = (text, refusal.token[:-1], refusal.token.upper(), f" {refusal.token}", tail)
    tokens = tuple(t for t in wrong if t != refusal.token)
    assert isinstance(decide(host(device), wanted(device="/dev/vdc", wipe=tokens)), Refuse)
