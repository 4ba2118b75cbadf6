"""What a droplet is made of goes away, also where systemd keeps it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rocminfra.lab import control_groups, removal
from rocminfra.lab.control_groups import Hierarchy
from rocminfra.lab.paths import LabPaths


def test_a_scope_ends_with_everything_that_runs_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd-nspawn killed alone leaves its container running, and the scope's name taken."""
    groups, tools = tmp_path / "cgroup", tmp_path / "tools"
    scope = groups / "system.slice" / "rocminfra-lab-unit-scope.scope"
    payload = scope / "payload" / "init.scope"
    payload.mkdir(parents=True)
    monkeypatch.setattr(control_groups, "hierarchies", lambda: (Hierarchy(groups, True),))
    tools.mkdir()
    systemctl = tools / "systemctl"
    # systemd removes the group once nothing runs in it.
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/said"\nrm -r "{scope}"\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    inside = subprocess.Popen(["sleep", "600"])
    try:
        (payload / "cgroup.procs").write_text(f"{inside.pid}\n")
        removal.remove(LabPaths(tmp_path / "state", tmp_path / "cache"), "unit-scope")
        # Whoever ended it has waited for it already: it only has to be gone.
        assert inside.poll() is not None
    finally:
        inside.kill()
    assert (tmp_path / "said").read_text() == "stop rocminfra-lab-unit-scope.scope\n"
    assert not scope.exists()
