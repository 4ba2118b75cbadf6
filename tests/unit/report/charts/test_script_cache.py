"""The page's scripts are made once; what others could have put there is never used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rocminfra.report.charts.script_cache import kept

TEXT = "export const a = '→';"


class Maker:
    """Counts how often the text was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return TEXT


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rocminfra" / "pages"


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_it_is_made_once_for_each_name(make: Maker, folder: Path) -> None:
    assert [kept("vega-1.0", make), kept("vega-1.0", make)] == [TEXT, TEXT]
    assert make.times == 1
    assert only_file(folder).stat().st_mode & 0o077 == 0
    assert kept("vega-1.0.1", make) == kept("vega-1", make) == TEXT
    assert make.times == 3, "another version's is never taken"


def test_a_changed_text_is_made_again(make: Maker, folder: Path) -> None:
    kept("vega", make)
    only_file(folder).write_bytes(TEXT.encode() + b"evil()")
    assert kept("vega", make) == TEXT
    assert make.times == 2
    assert only_file(folder).read_text(encoding="utf-8") == TEXT
    assert kept("vega", make) == TEXT
    assert make.times == 2


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_one_that_others_can_write_is_not_used(make: Maker, folder: Path, mode: int) -> None:
    kept("vega", make)
    only_file(folder).chmod(mode)
    assert kept("vega", make) == TEXT
    assert make.times == 2


def test_a_link_is_not_followed(make: Maker, folder: Path, tmp_path: Path) -> None:
    kept("vega", make)
    path = only_file(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert kept("vega", make) == TEXT
    assert make.times == 2
    assert not path.is_symlink()


def test_somebody_elses_is_not_used(
    make: Maker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept("vega", make)
    owner = only_file(folder).stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert kept("vega", make) == TEXT
    assert make.times == 2


def test_without_a_cache_it_is_made_every_time(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [kept("vega", make), kept("vega", make)] == [TEXT, TEXT]
    assert make.times == 2

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert kept("vega", make) == TEXT
