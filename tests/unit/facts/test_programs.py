"""Programs of a host; the commands are run on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocminfra.facts.programs import HostPrograms, KernelEnforcesAppArmor


def sh(command: str) -> list[str]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_programs_and_modules_of_this_machine(tmp_path: Path) -> None:
    fact, code = HostPrograms(), "json; open('ran', 'w')"
    command = fact.command(
        programs=["sh", "no-such-program", "a b; echo c"],
        modules=["json", "here_only", code, "json.tool"],
    )
    (tmp_path / "here_only.py").touch()
    output = sh(f"cd {tmp_path}; {command.get_raw_value()}")
    assert fact.process(output) == {"sh", "python3 -m json"}
    assert not (tmp_path / "ran").exists()


def test_without_python_no_module_is_there() -> None:
    fact = HostPrograms()
    command = fact.command(programs=[], modules=["json"])
    assert fact.process(sh(f"PATH=; {command.get_raw_value()}")) == frozenset()


@pytest.mark.parametrize(("output", "on"), [(["Y"], True), (["N"], False), ([], False)])
def test_apparmor(output: list[str], on: bool) -> None:
    assert KernelEnforcesAppArmor().process(output) is on
    sh(KernelEnforcesAppArmor().command())
