"""Beginnings and ends of a host's book of runs become events."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

BEGAN = {
    "time": "2026-01-31T09:30:00Z",
    "event": "began",
    "token": "a",
    "since": "2026-01-31T09:30:00Z",
    "owner": "alice@laptop",
    "command": "rocminfra apply",
    "rocminfra": "1.0",
}
ENDED = {
    "time": "2026-01-31T09:31:00Z",
    "event": "ended",
    "token": "a",
    "outcome": "failed",
    "seconds": 60,
    "changed": ["x"],
    "failures": ["the disk is not blank"],
}
BROKEN = {
    "time": "2026-01-31T09:30:30Z",
    "event": "lock broken",
    "owner": "bob@ci",
    "reason": "why",
    "holder": {"command": "rocminfra apply", "owner": "alice@laptop"},
}


def events(worker: Any, *lines: dict[str, Any], running: str | None = None) -> list[Any]:
    return [SimpleNamespace(**event) for event in worker("book_events", lines, running)]


def test_beginning_and_end_are_one_run_whatever_was_written_between(worker: Any) -> None:
    run, broken = events(worker, BEGAN, BROKEN, ENDED)
    assert (run.began, run.ended) == ("2026-01-31T09:30:00Z", "2026-01-31T09:31:00Z")
    assert (run.owner, run.command, run.outcome) == ("alice@laptop", "rocminfra apply", "failed")
    assert (run.changed, run.failures) == (("x",), ("the disk is not blank",))
    assert (broken.owner, broken.reason) == ("bob@ci", "why")
    assert broken.holder == "rocminfra apply, by alice@laptop"


def test_a_run_without_an_end_is_running_or_was_cut_off(worker: Any) -> None:
    assert [one.outcome for one in events(worker, BEGAN)] == ["unknown"]
    assert [one.outcome for one in events(worker, BEGAN, running="a")] == ["running"]


def test_an_end_whose_beginning_was_dropped_is_shown_as_far_as_it_is_known(worker: Any) -> None:
    (run,) = events(worker, ENDED)
    assert (run.began, run.owner, run.outcome) == (None, "", "failed")


def test_what_another_version_wrote_does_not_break_it(worker: Any) -> None:
    odd = [{}, {"event": "later"}, {"event": "ended", "token": "z", "seconds": "long"}]
    (run,) = events(worker, *odd)
    assert run.seconds is None


def test_a_run_of_the_playbook_writes_both(worker: Any, tmp_path: Path) -> None:
    """Through the session that apply uses; the lock's folder stands for the host's."""
    (first,) = worker("locks", str(tmp_path), str(tmp_path / "lock"), 1)
    assert first["active"] == ["h"]
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["began"]
    assert lines[0]["command"] == "rocminfra apply --limit h"
