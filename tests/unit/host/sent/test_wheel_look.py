"""The look at a folder of wheels, as it runs on a host."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from rocminfra.facts.wheels import WheelFolder
from rocminfra.host.programs import source
from rocminfra.host.sent import wheel_look
from rocminfra.planning.wheels import Wheel, WheelLook


def look(path: Path) -> WheelLook:
    fact = WheelFolder()
    command = str(fact.command(str(path)))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return fact.process(done.stdout.splitlines())


def wheel(folder: Path, name: str, metadata: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.dist-info/METADATA", metadata)
        file.writestr(f"{name.split('-')[0]}/vendored/x-1.dist-info/METADATA", "Requires-Dist: y")


def test_wheels_and_what_they_need(tmp_path: Path) -> None:
    head = "Metadata-Version: 2.4\nName: demo\n"
    wheel(
        tmp_path, "demo-1.2", f"{head}Requires-Dist: a>=1\nRequires-Dist: b; extra == 'x'\n\nText"
    )
    (tmp_path / "broken-1-py3-none-any.whl").write_bytes(b"no zip")
    (tmp_path / "a-1.tar.gz").touch()
    found = look(tmp_path)
    assert found.wheels == (
        Wheel("broken-1-py3-none-any.whl", None),
        Wheel("demo-1.2-py3-none-any.whl", ("a>=1", "b; extra == 'x'")),
    )
    assert (found.kind, found.others) == ("folder", ("a-1.tar.gz",))
    assert found.markers["sys_platform"] == "linux"
    assert found.python.startswith("CPython 3.")
    assert found.glibc is None or found.glibc >= (2, 17)


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert look(tmp_path / "none").kind == "missing"
    assert look(tmp_path / "file").kind == "other"


def test_a_folder_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(wheel_look.os, "listdir", refuse)
    assert wheel_look.names_in("/srv/wheels") == ("unreadable", [])


def test_it_goes_through_any_shell() -> None:
    assert "'" not in source("wheel_look")
