"""Files kept as they are, and put back: also when they were not there, and cut off anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rocminfra.facts.kept_files import Kept, KeptFiles
from rocminfra.host.sent import kept_files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o600)
    return path


def replaced(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.chmod(0o644)
    new.rename(path)


def keep(folder: Path, label: str, *paths: Path) -> int:
    return kept_files.main(["keep", str(folder), label, "a note", *map(str, paths)])


def test_what_was_replaced_comes_back_and_what_was_new_goes(tmp_path: Path, file: Path) -> None:
    folder, absent = tmp_path / "kept", tmp_path / "absent"
    assert keep(folder, "a", file, absent) == 0
    replaced(file, "new")
    absent.write_text("new")
    for _ in range(2):  # also for whoever is cut off and begins again
        assert kept_files.main(["restore", str(folder)]) == 0
        assert file.read_text() == "old"
        assert file.stat().st_mode & 0o777 == 0o600
        assert not absent.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "kept"]


def test_the_fact_reads_what_is_kept(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "kept"
    assert KeptFiles().process([]) is None
    keep(folder, "a", file)
    lines = (folder / "index.json").read_text().splitlines()
    assert KeptFiles().process(lines) == Kept("a", "a note")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_kept_of_the_same_label_is_not_replaced_by_what_is_unproven(
    tmp_path: Path, file: Path
) -> None:
    folder = tmp_path / "kept"
    keep(folder, "a", file)
    replaced(file, "unproven")
    assert keep(folder, "a", file) == 0
    kept_files.main(["restore", str(folder)])
    assert file.read_text() == "old"
    replaced(file, "proven")
    assert keep(folder, "b", file) == 0
    replaced(file, "new")
    kept_files.main(["restore", str(folder)])
    assert file.read_text() == "proven"


def test_without_links_it_is_a_copy_with_mode_and_time(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("another filesystem")

    monkeypatch.setattr(os, "link", no_links)
    folder = tmp_path / "kept"
    assert keep(folder, "a", file) == 0
    before = file.stat()
    replaced(file, "new")
    assert kept_files.main(["restore", str(folder)]) == 0
    after = file.stat()
    assert file.read_text() == "old"
    assert (after.st_mode, after.st_mtime) == (before.st_mode, before.st_mtime)


def test_a_full_disk_keeps_nothing_and_says_so(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    folder = tmp_path / "kept"
    assert keep(folder, "a", file) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not folder.exists()
    assert file.read_text() == "old"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert keep(tmp_path / "kept", "a", tmp_path / "link") == 1
    assert not (tmp_path / "kept").exists()
