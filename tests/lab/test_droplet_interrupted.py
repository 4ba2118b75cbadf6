"""`rocminfra lab up` that fails or is killed: nothing half-made stays, or it is found."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab_host
import pytest
from failing import next_of
from running import runs

from rocminfra.failure import FailedError
from rocminfra.lab import droplet_record, droplets, network, processes
from rocminfra.lab.droplets import Wanted
from rocminfra.lab.paths import LabPaths, default_paths

pytestmark = pytest.mark.lab

# What `up` calls on its way, in this order; each of them is broken, and each is a place to die.
STAGES = {
    "losetup find": "--find",
    "losetup": "--partscan",
    "ssh-keygen": "-f",
    "ip netns": "netns add",
    "ip link": "link add",
    "ip addr": "addr add",
    "slirp4netns": "tap0",
    "unshare": "systemd-nspawn",
}


@pytest.fixture
def name() -> Iterator[str]:
    """Name of a droplet that a test may leave in any state."""
    name = f"{lab_host.PREFIX}broken"
    yield name
    lab_host.down(name)
    assert lab_host.left(name) == ()


def _stub(folder: Path, stage: str, action: str) -> None:
    """A program before the real one, that acts when it is called for ``stage``."""
    program = stage.split()[0]
    real = shutil.which(program)
    assert real is not None
    file = folder / program
    file.write_text(
        f'#!/bin/sh\ncase "$*" in *"{STAGES[stage]}"*) {action} ;; esac\nexec {real} "$@"\n'
    )
    file.chmod(0o755)


def _up(name: str, stubs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rocminfra.lab", "up", "--name", name],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}"},
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_fails_leaves_nothing(stage: str, name: str, tmp_path: Path) -> None:
    _stub(tmp_path, stage, "echo broken on purpose >&2; exit 1")
    result = _up(name, tmp_path)
    assert result.returncode in (1, 6, 7), result.stderr
    assert "broken on purpose" in result.stderr
    assert "Traceback" not in result.stderr
    assert lab_host.left(name) == ()


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_killed_run_left_is_found_and_removed(stage: str, name: str, tmp_path: Path) -> None:
    _stub(tmp_path, stage, 'kill -9 "$PPID"')
    result = _up(name, tmp_path)
    assert result.returncode == -9
    assert lab_host.left(name) != ()
    wire = droplet_record.load(lab_host.PATHS, name).interface
    # The program in whose place the stub stood goes on after its parent's death.
    processes.wait_until(lambda: name in processes.running(lab_host.PATHS), 2)
    if stage == "unshare":
        lab_host.down(name)
    else:
        lab_host.clean(name)
    assert lab_host.left(name) == ()
    assert wire not in network.interfaces()


def test_no_loop_device_is_said_with_what_to_look_at(name: str, tmp_path: Path) -> None:
    words = "losetup: cannot find an unused loop device"
    _stub(tmp_path, "losetup find", f"echo '{words}' >&2; exit 1")
    said = _up(name, tmp_path).stderr.strip().splitlines()
    assert f"    {words}" in said
    assert said[-1].startswith("next: losetup --find")
    assert lab_host.left(name) == ()


def test_addresses_that_are_taken_are_said_before_anything_is_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a machine without a base root, where building it takes minutes.
    paths = LabPaths(lab_host.PATHS.state, tmp_path / "cache")
    network_of_all = ipaddress.IPv4Network("10.0.0.0/8")
    monkeypatch.setattr(network, "routed", lambda: (network_of_all,))
    with pytest.raises(FailedError, match=r"addresses 10\.83\.0\.0/16 are taken") as caught:
        droplets.up(paths, [name], Wanted(), lambda _line: None)
    assert "route to 10.0.0.0/8" in caught.value.failure.why
    assert next_of(caught.value).startswith("export ROCMINFRA_LAB_SUBNET=")
    assert not paths.cache.exists()
    assert lab_host.left(name) == ()


def test_a_mirror_that_does_not_answer_leaves_no_base_root(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCMINFRA_LAB_CACHE", str(tmp_path))
    cache = default_paths().cache
    stub = tmp_path / "debootstrap"
    stub.write_text("#!/bin/sh\necho 'E: Failed getting release file'; exit 1\n")
    stub.chmod(0o755)
    result = _up(name, tmp_path)
    assert result.returncode == 6
    assert "E: Failed getting release file" in result.stderr
    assert "next: apt-get update" in result.stderr
    assert list(cache.glob("base-*")) == []


def test_a_killed_build_leaves_nothing_that_could_be_taken_for_a_base_root(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCMINFRA_LAB_CACHE", str(tmp_path))
    cache = default_paths().cache
    stub = tmp_path / "debootstrap"
    stub.write_text(
        "#!/bin/sh\n"
        'while test $# -gt 2; do shift; done; mkdir -p "$1"\n'
        f"touch {tmp_path}/begun; exec sleep 987654321\n"
    )
    stub.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "rocminfra.lab", "up", "--name", name],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert processes.wait_until((tmp_path / "begun").exists, 60)
    finally:
        process.kill()
        process.wait()
    assert [path for path in cache.glob("base-*") if ".building-" not in path.name] == []
    assert processes.wait_until(lambda: not runs("987654321"), 10)
