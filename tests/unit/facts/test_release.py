"""A host's release, Python and programs; the commands are run on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocminfra.facts.programs import HostPrograms, KernelEnforcesAppArmor
from rocminfra.facts.release import HostRelease, PythonVersion
from rocminfra.planning.releases import OsRelease


def sh(command: str) -> list[str]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("text", "release"),
    [
        (
            'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\n',
            OsRelease("ubuntu", "22.04", "Ubuntu 22.04.5 LTS"),
        ),
        ("NAME='Debian GNU/Linux'\nID=debian\n", OsRelease("debian", "", "Debian GNU/Linux")),
        ('NAME="a \\"b\\""\n', OsRelease("linux", "", 'a "b"')),
        ('# a comment\nNAME="never closed\nID=x\n', OsRelease("x", "", '"never closed')),
        ("Welcome!\n", None),
        ("", None),
    ],
)
def test_os_release(text: str, release: OsRelease | None) -> None:
    assert HostRelease().process(text.splitlines()) == release


def test_python_of_this_machine() -> None:
    output = sh(PythonVersion().command())
    found = PythonVersion().process(["a login shell's greeting", *output])
    version = subprocess.run(["python3", "-V"], capture_output=True, text=True, check=True).stdout
    assert found is not None
    assert version.startswith(f"Python {found[0]}.{found[1]}.")


def test_no_python() -> None:
    fact = PythonVersion()
    assert fact.process(sh(f"PATH=; {fact.command()}")) is None


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
