"""What a machine lacks is said before anything is made."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, FailedError
from rocminfra.lab import requirements


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has everything: ``proc`` and ``dev`` below the path."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "succeeds", lambda _command: False)  # no modprobe
    proc, dev = tmp_path / "proc", tmp_path / "dev"
    (proc / "self" / "ns").mkdir(parents=True)
    (dev / "net").mkdir(parents=True)
    (proc / "filesystems").write_text("nodev\tsysfs\nnodev\toverlay\n\txfs\n\text4\n")
    for kind in ("net", "mnt", "pid", "uts", "ipc"):
        (proc / "self" / "ns" / kind).touch()
    (dev / "loop-control").touch()
    (dev / "net" / "tun").touch()
    return tmp_path


def _check(machine: Path, lacks: str | None = None, droplets: int = 1, build: bool = True) -> None:
    requirements.check(
        machine / "state",
        droplets,
        build,
        proc=machine / "proc",
        dev=machine / "dev",
        which=lambda program: None if program == lacks else f"/usr/bin/{program}",
    )


def test_a_machine_that_has_everything_is_fit(machine: Path) -> None:
    _check(machine)


def test_not_root_is_told_to_use_sudo(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(FailedError, match="needs root") as caught:
        _check(machine)
    assert next_of(caught.value).startswith("sudo ")
    assert caught.value.failure.kind == ExitCode.UNFIT


@pytest.mark.parametrize(("program", "package"), [*requirements.PROGRAMS.items()])
def test_a_missing_program_names_its_package(machine: Path, program: str, package: str) -> None:
    with pytest.raises(FailedError) as caught:
        _check(machine, lacks=program)
    assert f"apt-get install -y {package}" in next_of(caught.value)


def test_debootstrap_is_needed_only_to_build(machine: Path) -> None:
    _check(machine, lacks="debootstrap", build=False)
    with pytest.raises(FailedError, match="debootstrap"):
        _check(machine, lacks="debootstrap", build=True)


@pytest.mark.parametrize("lack", ["overlay", "xfs"])
def test_a_kernel_without_a_file_system_is_refused(machine: Path, lack: str) -> None:
    file = machine / "proc" / "filesystems"
    file.write_text(file.read_text().replace(lack, "other"))
    with pytest.raises(FailedError, match=f"kernel lacks: {lack}") as caught:
        _check(machine)
    assert next_of(caught.value) == f"modprobe -a {lack}"


@pytest.mark.parametrize(("node", "module"), [("loop-control", "loop"), ("net/tun", "tun")])
def test_a_kernel_without_a_device_is_refused(machine: Path, node: str, module: str) -> None:
    (machine / "dev" / node).unlink()
    with pytest.raises(FailedError, match="kernel lacks") as caught:
        _check(machine)
    assert next_of(caught.value) == f"modprobe -a {module}"


def test_a_kernel_without_network_namespaces_is_refused(machine: Path) -> None:
    (machine / "proc" / "self" / "ns" / "net").unlink()
    with pytest.raises(FailedError, match="net namespaces"):
        _check(machine)


def test_a_module_that_modprobe_brings_is_not_missing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "dev" / "loop-control").unlink()

    def modprobe(command: list[str]) -> bool:
        assert command == ["modprobe", "loop"]
        (machine / "dev" / "loop-control").touch()
        return True

    monkeypatch.setattr(requirements, "succeeds", modprobe)
    _check(machine)


def test_too_little_space_says_how_much_is_needed(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(1, 1, 7 * 1024**3))
    _check(machine, droplets=1)
    with pytest.raises(FailedError, match=r"7\.0 GiB free; 3 droplet"):
        _check(machine, droplets=3)
