"""The results folder before anything is measured: writable or not, and nothing is left there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rocminfra.bench import home
from rocminfra.bench.home import look_at_home


def test_a_folder_that_is_still_to_be_made_is_looked_at_where_it_will_be(tmp_path: Path) -> None:
    seen = look_at_home(str(tmp_path / "a" / "results"), "run")
    assert seen.problem is None
    assert seen.free_bytes is not None
    assert seen.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    seen = look_at_home(str(tmp_path / "results"), "run")
    assert seen.problem == f"{tmp_path}/results is not a folder"
    assert (tmp_path / "results").read_text() == "mine"


def test_a_folder_that_takes_no_files_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look_at_home("/proc/results", "run")
    assert seen.problem is not None
    assert seen.problem.startswith("/proc: ")


def test_a_disk_without_an_inode_left_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(home.tempfile, "TemporaryFile", full)
    assert look_at_home(str(tmp_path), "run").free_bytes == 0


def test_a_run_that_is_here_is_seen(tmp_path: Path) -> None:
    (tmp_path / "20260513T101500Z-3fa9c1").mkdir()
    assert look_at_home(str(tmp_path), "20260513T101500Z-3fa9c1").has_run
    assert not look_at_home(str(tmp_path), "20260513T101500Z-3fa9c2").has_run
