"""The record, from the runner's side: begun once, updated after changes, and looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rocminfra.failure import FailedError, Fault


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """Stand-ins for the host's package and service managers; no Docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "systemctl": "",
        "dpkg-query": "echo bash installed",
        "docker": "exit 1",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def asked(worker: Any, tmp_path: Path, tools: dict[str, str], *actions: str) -> Any:
    return worker("records", str(tmp_path), tools, str(tmp_path / "state/record.json"), actions)


def test_a_host_without_a_record_says_so(
    worker: Any, tmp_path: Path, tools: dict[str, str]
) -> None:
    (seen,) = asked(worker, tmp_path, tools, "look")
    assert seen.record is None
    assert (seen.packages, seen.containers, seen.at_work) == (frozenset(), None, ())


def test_what_a_run_leaves_is_looked_at_as_planning_takes_it(
    worker: Any, tmp_path: Path, tools: dict[str, str]
) -> None:
    _, _, seen = asked(worker, tmp_path, tools, "begin", "update", "look")
    assert seen.record is not None
    assert seen.record.mount_point == "/mnt/models"
    assert seen.record.container == "vllm-qwen2-vl-72b"
    assert not seen.record.had_mount


def test_a_run_that_was_cut_off_has_a_record_without_hashes(
    worker: Any, tmp_path: Path, tools: dict[str, str]
) -> None:
    _, seen = asked(worker, tmp_path, tools, "begin", "look")
    assert seen.record is not None
    assert (dict(seen.record.files), seen.record.fstab_line) == ({}, None)
    assert seen.record.container == "", "no container is taken for the engine's"


def test_a_damaged_record_is_an_error(worker: Any, tmp_path: Path, tools: dict[str, str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/record.json").write_text("{")
    with pytest.raises(FailedError) as caught:
        asked(worker, tmp_path, tools, "look")
    assert caught.value.failure.fault is Fault.BOOK_UNREADABLE
    assert any("host record:" in line for line in caught.value.failure.why)
