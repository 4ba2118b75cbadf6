"""The runner's side of the lock."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

from failing import next_of


def test_a_second_run_is_out_and_knows_by_whom(worker: Any, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    (first, second) = worker("locks", str(tmp_path), str(path), 2)
    assert (first["active"], first["failures"]) == (["h"], [])
    assert second["active"] == []
    (failure,) = second["failures"]
    assert failure.what == "h is locked by another run"
    assert failure.kind.name == "LOCKED"
    assert failure.why[0].startswith("rocminfra apply --limit h, by ")
    assert next_of(failure).startswith("wait for it; or end its connection, on h: kill ")


def test_who_runs_what_is_no_argument_for_all_to_read(worker: Any, tmp_path: Path) -> None:
    (first,) = worker("locks", str(tmp_path), str(tmp_path / "lock"), 1)
    (command,) = [line for line in first["lines"] if " take " in line]
    assert "rocminfra apply" not in command
    assert getpass.getuser() + "@" not in command


def test_it_is_free_afterwards(worker: Any, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    worker("locks", str(tmp_path), str(path), 1)
    assert path.read_text() == ""


def test_the_lock_of_a_run_that_is_gone_is_taken_over_with_a_word(
    worker: Any, tmp_path: Path
) -> None:
    path = tmp_path / "lock"
    gone = {"token": "x", "owner": "bob@ci", "command": "rocminfra bench", "since": "yesterday"}
    path.write_text(json.dumps({**gone, "pid": 1, "start": "0", "boot": "another"}))
    (first,) = worker("locks", str(tmp_path), str(path), 1)
    assert first["active"] == ["h"]
    assert any("rocminfra bench, by bob@ci, since yesterday" in line for line in first["lines"])


def test_a_lock_that_cannot_be_taken_fails_the_host(worker: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (first,) = worker("locks", str(tmp_path), str(tmp_path / "file" / "lock"), 1)
    assert first["active"] == []
    assert "could not be taken" in first["failures"][0].what
    assert any(
        "File exists" in line or "Not a directory" in line for line in first["failures"][0].why
    )
