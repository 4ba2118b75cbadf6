"""What may be taken away: a matrix of states, drawn by Hypothesis, and each rule by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.failure import Failure, Fault
from rocminfra.planning.removal import (
    DAEMON_JSON,
    FILES,
    NUMA,
    TREES,
    UNIT_FILE,
    Kind,
    Record,
    Removal,
    Seen,
    decide,
)

PLACE = "/mnt/models"
LINE = "UUID=1 /mnt/models xfs nofail 0 0"
PACKAGES = frozenset({"docker.io", "docker-cli"})
RECORD = Record(
    files={path: path for path in FILES},
    fstab_line=LINE,
    mount_point=PLACE,
    container="engine",
    settings_before={NUMA: "1"},
)
# A host as an apply on a bare one leaves it; a file's hash is its name here.
WHOLE = Seen(
    RECORD,
    files={path: path for path in FILES},
    trees=frozenset(TREES),
    packages=PACKAGES,
    purged=PACKAGES,
    docker=True,
    containers=("engine",),
    volumes=(),
    mounted=True,
    fstab_lines=(LINE,),
)


def changed(record: dict[str, Any] | None = None, **seen: Any) -> Removal:
    decided = decide(
        dataclasses.replace(WHOLE, record=dataclasses.replace(RECORD, **(record or {})), **seen)
    )
    assert isinstance(decided, Removal)
    return decided


def of(removal: Removal, kind: Kind) -> list[Any]:
    return [dict(step.arguments) for step in removal.steps if step.kind is kind]


def files(removal: Removal) -> list[Any]:
    return [one["path"] for one in of(removal, Kind.FILE)]


def test_the_user_of_a_run_that_was_cut_off_goes() -> None:
    assert of(changed(), Kind.USER) == []
    (step,) = of(changed(load_user=True), Kind.USER)
    assert step == {"name": "rocminfra-load", "home": "/run/rocminfra-load"}


def test_nothing_goes_while_the_host_sends_load() -> None:
    seen = dataclasses.replace(WHOLE, load_user=True, at_work=("rocminfra-load.service",))
    decided = decide(seen)
    assert isinstance(decided, Failure)
    assert decided.why == ("rocminfra-load.service",)


def test_all_of_a_host_that_was_bare_goes_in_an_order_that_works() -> None:
    removal = changed()
    kinds = [step.kind for step in removal.steps]
    assert files(removal) == list(FILES)
    assert [one["path"] for one in of(removal, Kind.TREE)] == list(TREES)
    # The engine before Docker, Docker before what it stands on, our programs after the units that
    # start them, the record last: until then a removal that was cut off can be continued.
    order = [Kind.STOP, Kind.PACKAGES, Kind.TREE, Kind.UNMOUNT, Kind.FSTAB, Kind.MOUNT_POINT]
    places = [kinds.index(kind) for kind in order]
    assert places == sorted(places)
    assert kinds[-1] is Kind.STATE
    assert of(removal, Kind.SETTING) == [{"name": NUMA, "value": "1"}]
    assert [kept.why for kept in removal.kept] == ["it is data"]


def test_without_a_record_nothing_is_removed() -> None:
    decided = decide(dataclasses.replace(WHOLE, record=None))
    assert isinstance(decided, Failure)
    assert decided.fault is Fault.NO_RECORD


def test_while_something_is_at_work_nothing_is_removed() -> None:
    decided = decide(dataclasses.replace(WHOLE, at_work=("rocminfra-bench-1.service",)))
    assert isinstance(decided, Failure)
    assert decided.fault is Fault.BENCHMARK_RUNNING
    assert decided.why == ("rocminfra-bench-1.service",)


@pytest.mark.parametrize(
    ("record", "seen", "why"),
    [
        ({"had_docker": True}, {}, "it was there before"),
        ({}, {"containers": ("engine", "theirs")}, "it has other containers: theirs"),
        ({}, {"containers": None}, "it does not answer"),
        ({}, {"volumes": ("theirs",)}, "it has volumes: theirs"),
        ({}, {"volumes": None}, "it does not answer"),
        ({}, {"old_root": True}, "/var/lib/docker holds data"),
        ({}, {"purged": None}, "is not known"),
        ({}, {"purged": PACKAGES | {"theirs"}}, "other packages need it: theirs"),
        ({}, {"packages": frozenset()}, "it is of no package that apply installs"),
    ],
)
def test_docker_stays_with_all_that_it_stands_on(
    record: dict[str, Any], seen: dict[str, Any], why: str
) -> None:
    removal = changed(record, **seen)
    kept = {one.what: one.why for one in removal.kept}
    assert why in kept["Docker, with its configuration"]
    assert f"{PLACE}, mounted and in fstab" in kept
    _docker_is_left_alone(removal)
    # The engine goes all the same.
    assert of(removal, Kind.STOP) == [{"unit": "vllm.service"}]


def _docker_is_left_alone(removal: Removal) -> None:
    for kind in (Kind.PACKAGES, Kind.UNMOUNT, Kind.FSTAB, Kind.MOUNT_POINT):
        assert of(removal, kind) == []
    assert not any("/docker" in path for path in files(removal))
    (programs,) = [one for one in of(removal, Kind.TREE) if one["path"].startswith("/usr/local")]
    assert programs["keep"] == ["/usr/local/lib/rocminfra/scratch_guard.py"]


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        ({"before": frozenset({UNIT_FILE})}, {}),
        ({}, {"files": {**WHOLE.files, UNIT_FILE: "edited by hand"}}),
        ({"files": {}}, {}),  # an apply that was cut off
    ],
)
def test_an_engine_that_is_not_ours_keeps_all_that_it_stands_on(
    record: dict[str, Any], seen: dict[str, Any]
) -> None:
    decided = decide(
        dataclasses.replace(WHOLE, record=dataclasses.replace(RECORD, **record), **seen)
    )
    assert isinstance(decided, Failure)
    assert decided.fault is Fault.ENGINE_UNIT_NOT_OURS


@pytest.mark.parametrize("path", FILES[1:])
def test_a_file_that_was_there_before_or_was_changed_since_stays(path: str) -> None:
    for removal in (
        changed({"before": frozenset({path})}),
        changed(files={**WHOLE.files, path: "of somebody else"}),
    ):
        assert path not in files(removal)
        assert path in [kept.what for kept in removal.kept]
        assert set(files(removal)) == set(FILES) - {path}


def test_after_an_apply_that_was_cut_off_only_names_of_ours_are_trusted() -> None:
    others = {path: path for path in FILES if path != UNIT_FILE}
    removal = changed({"files": {}, "fstab_line": None}, files=others)
    assert set(files(removal)) == {path for path in FILES if "rocminfra" in path}
    assert DAEMON_JSON not in files(removal)
    assert of(removal, Kind.UNMOUNT) == of(removal, Kind.FSTAB) == []


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        ({"had_mount": True}, {}),
        ({"had_fstab": True}, {}),
        ({}, {"below": ("/mnt/models/theirs",)}),
        ({}, {"fstab_lines": (f"{LINE} # mine",)}),
        ({}, {"fstab_lines": (LINE, LINE.replace("1", "2"))}),
    ],
)
def test_the_mount_stays_when_it_is_not_ours_alone(
    record: dict[str, Any], seen: dict[str, Any]
) -> None:
    removal = changed(record, **seen)
    for kind in (Kind.UNMOUNT, Kind.FSTAB, Kind.MOUNT_POINT):
        assert of(removal, kind) == []


def test_runs_stay_unless_they_are_named() -> None:
    seen = dataclasses.replace(WHOLE, runs=("20260131T093000Z",))
    kept = decide(seen)
    assert isinstance(kept, Removal)
    assert of(kept, Kind.STATE)[0]["keep_runs"] is True
    assert any("1 benchmark runs" in one.what for one in kept.kept)
    gone = decide(seen, with_runs=True)
    assert isinstance(gone, Removal)
    assert of(gone, Kind.STATE)[0]["keep_runs"] is False


def test_what_is_gone_already_is_no_step() -> None:
    removal = changed(
        files={},
        trees=frozenset(),
        packages=frozenset(),
        purged=frozenset(),
        docker=False,
        containers=None,
        volumes=None,
        mounted=False,
        fstab_lines=(),
        state=False,
    )
    assert [step.kind for step in removal.steps] == [Kind.MOUNT_POINT]


_names = st.sets(st.sampled_from(["engine", "theirs", "mine"])).map(lambda one: tuple(sorted(one)))
_hashes = st.dictionaries(st.sampled_from(FILES), st.sampled_from(["a", "b"]))
_records = st.builds(
    Record,
    before=st.frozensets(st.sampled_from([*FILES, *TREES, PLACE, "/etc/docker"])),
    had_docker=st.booleans(),
    had_fstab=st.booleans(),
    had_mount=st.booleans(),
    files=_hashes,
    fstab_line=st.sampled_from([None, LINE]),
    mount_point=st.just(PLACE),
    container=st.sampled_from(["engine", ""]),
    settings_before=st.sampled_from([{}, {NUMA: "1"}]),
)
_seen = st.builds(
    Seen,
    record=_records,
    files=_hashes,
    trees=st.frozensets(st.sampled_from(TREES)),
    packages=st.frozensets(st.sampled_from(["docker.io", "docker-cli"])),
    purged=st.none() | st.frozensets(st.sampled_from(["docker.io", "docker-cli", "theirs"])),
    docker=st.booleans(),
    old_root=st.booleans(),
    containers=st.none() | _names,
    volumes=st.none() | _names,
    mounted=st.booleans(),
    below=st.sampled_from([(), ("/mnt/models/theirs",)]),
    fstab_lines=st.sampled_from([(), (LINE,), ("theirs",), (LINE, "theirs")]),
    at_work=st.sampled_from([(), ("rocminfra-prefetch.service",)]),
    runs=st.sampled_from([(), ("a", "b")]),
    state=st.booleans(),
)


@given(_seen, st.booleans())
def test_whatever_is_there_only_what_is_proven_goes(seen: Seen, with_runs: bool) -> None:
    """The promises, for every state: nothing before us, nothing changed, no Docker of others."""
    decided = decide(seen, with_runs)
    if isinstance(decided, Failure):
        if decided.fault is Fault.ENGINE_UNIT_NOT_OURS:
            assert seen.record is not None
            is_new = UNIT_FILE not in seen.record.before
            assert not (is_new and seen.record.files.get(UNIT_FILE) == seen.files[UNIT_FILE])
        else:
            assert seen.record is None or seen.at_work
        return
    record = seen.record
    assert record is not None
    assert not seen.at_work
    # An engine that may serve is stopped, or everything stays.
    assert (UNIT_FILE in seen.files) == bool(of(decided, Kind.STOP))
    for step in of(decided, Kind.FILE):
        path = step["path"]
        assert path in FILES
        assert path not in record.before
        assert step["sha256"] == seen.files[path]
        assert record.files.get(path, seen.files[path]) == seen.files[path]
    for step in of(decided, Kind.TREE):
        assert step["path"] in set(TREES) - record.before
    for step in of(decided, Kind.PACKAGES):
        assert not record.had_docker
        assert set(step["names"]) == seen.packages == (seen.purged or set()) | seen.packages
        assert set(seen.containers or ()) <= {record.container}
        assert seen.containers is not None
        assert seen.volumes == ()
        assert not seen.old_root
    unmounts = of(decided, Kind.UNMOUNT) + of(decided, Kind.FSTAB)
    if unmounts:
        assert not any((record.had_docker, record.had_mount, record.had_fstab, seen.below))
        assert set(seen.fstab_lines) <= {record.fstab_line}
        # Docker is gone by then, or was never there.
        assert of(decided, Kind.PACKAGES) or not (seen.packages or seen.docker)
    if of(decided, Kind.MOUNT_POINT):
        assert PLACE not in record.before
        assert unmounts or not (seen.mounted or seen.fstab_lines)
    if seen.runs and not with_runs:
        assert all(step["keep_runs"] for step in of(decided, Kind.STATE))
    ends = [step.kind for step in decided.steps if step.kind is Kind.STATE]
    assert not ends or decided.steps[-1].kind is Kind.STATE
