"""Control groups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocminfra.failure import FailedError
from rocminfra.lab import control_groups
from rocminfra.lab.control_groups import Hierarchy

_V1 = """\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
32 30 0:28 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
"""
_V2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_hybrid_hierarchies_are_read() -> None:
    assert control_groups.hierarchies(_V1) == (
        Hierarchy(Path("/sys/fs/cgroup/cpuset"), False),
        Hierarchy(Path("/sys/fs/cgroup/unified"), True),
    )


def test_the_unified_hierarchy_is_read() -> None:
    assert control_groups.hierarchies(_V2) == (Hierarchy(Path("/sys/fs/cgroup"), True),)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A cpuset of version 1 and a hierarchy of version 2."""
    first, second = tmp_path / "cpuset", tmp_path / "unified"
    first.mkdir()
    second.mkdir()
    monkeypatch.setattr(
        control_groups,
        "hierarchies",
        lambda: (Hierarchy(first, False), Hierarchy(second, True)),
    )
    return first, second


def test_a_new_cpuset_gets_what_its_parent_has(mounted: tuple[Path, Path]) -> None:
    first, second = mounted
    group = first / "rocminfra-lab-x"
    group.mkdir()
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (first / name).write_text(value)
        (group / name).write_text("")
    entries = control_groups.make("rocminfra-lab-x")
    assert (group / "cpuset.cpus").read_text() == "0-1"
    assert entries == (group / "cgroup.procs", second / "rocminfra-lab-x" / "cgroup.procs")


def test_controllers_are_delegated_one_by_one(mounted: tuple[Path, Path]) -> None:
    _, second = mounted
    (second / "cgroup.controllers").write_text("memory")
    (second / "cgroup.subtree_control").write_text("")
    control_groups.make("rocminfra-lab-x")
    assert (second / "cgroup.subtree_control").read_text() == "+memory"


def test_what_is_left_is_found_by_name(mounted: tuple[Path, Path]) -> None:
    first, second = mounted
    for folder in (
        first / "rocminfra-lab-a",
        second / "rocminfra-lab-b.scope",
        second / "rocminfra-lab-ab",
        first / "other",
    ):
        folder.mkdir()
    assert control_groups.left(["a"]) == (first / "rocminfra-lab-a",)
    assert control_groups.left(["b"]) == (second / "rocminfra-lab-b.scope",)
    assert len(control_groups.left()) == 3


@pytest.mark.parametrize("version", [0, 1])
def test_scopes_are_found_where_systemd_puts_them(mounted: tuple[Path, Path], version: int) -> None:
    """Not at the top: what ran in them outlived `lab down` on a machine that systemd runs."""
    scope = mounted[version] / "system.slice" / "rocminfra-lab-a.scope"
    payload = scope / "payload" / "system.slice" / "rocminfra-lab-b.scope"  # a lab in the droplet
    payload.mkdir(parents=True)
    (scope.parent / "rocminfra-lab-devices.service").mkdir()
    (payload / "cgroup.procs").write_text("422\n439\n")
    assert control_groups.left() == (scope,)
    assert control_groups.left(["a"]) == (scope,)
    assert control_groups.left(["b"]) == ()
    assert control_groups.processes(scope) == (422, 439)


def test_no_hierarchy_at_all_says_what_to_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups, "hierarchies", lambda: ())
    with pytest.raises(FailedError, match="no control groups are mounted"):
        control_groups.make("rocminfra-lab-x")
