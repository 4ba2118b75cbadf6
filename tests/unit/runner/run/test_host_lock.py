"""The runner's side of the lock."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from failing import next_of

from rocminfra.failure import ExitCode


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


@pytest.mark.parametrize(
    ("output", "kind", "what", "following"),
    [
        ('{"problem": "EROFS"}', ExitCode.UNFIT, "can only be read", "mount -o remount,rw"),
        ('{"problem": "ENOSPC"}', ExitCode.UNFIT, "disk full on the host", "make room"),
        ('{"problem": "EDQUOT"}', ExitCode.UNFIT, "disk full on the host", "make room"),
        ('{"problem": "EACCES"}', ExitCode.UNEXPECTED, "could not be taken", "ls -ld"),
        ('{"problem": null}', ExitCode.UNEXPECTED, "could not be taken", "ls -ld"),
        ("", ExitCode.UNEXPECTED, "could not be taken", "ls -ld"),
    ],
)
def test_a_disk_that_takes_no_lock_is_named(
    worker: Any, output: str, kind: ExitCode, what: str, following: str
) -> None:
    failure = worker("lock_not_taken", output, "[Errno 30] its words: '/var/lib/rocminfra'")
    assert failure.kind is kind
    assert what in failure.what
    assert "/var/lib/rocminfra" in failure.what
    assert failure.why == ("[Errno 30] its words: '/var/lib/rocminfra'",)
    assert following in next_of(failure)
