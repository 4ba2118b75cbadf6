"""A host's release, Python and programs; the commands are run on this machine."""

from __future__ import annotations

import subprocess

import pytest

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
