"""What units wrote, as one JSON object a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.programs import source
from rocminfra.host.sent import read_logs

UNITS = {"engine": ["vllm.service"], "image": ["rocminfra-image-*.service"]}
# Prints what it was asked, and one entry of each kind; with --follow it then waits for ever.
JOURNALCTL = """#!/bin/sh
echo "$@" >"$0.asked"
printf '%s\\n' '{"_SYSTEMD_UNIT": "vllm.service", "MESSAGE": "hello", "__REALTIME_TIMESTAMP": "0"}'
printf '%s\\n' '{"_SYSTEMD_UNIT": "ssh.service", "MESSAGE": "no business of ours"}'
printf '%s\\n' '{"_SYSTEMD_UNIT": "vllm.service", "MESSAGE": [104, 105, 27]}'
case "$*" in *--follow*) exec sleep 1000;; esac
"""


def entry(**fields: Any) -> dict[str, Any] | None:
    return read_logs.entry(json.dumps({"__REALTIME_TIMESTAMP": "0", **fields}), UNITS)


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({"_SYSTEMD_UNIT": "vllm.service"}, "engine"),
        # What systemd says of a unit comes from init.scope.
        ({"_SYSTEMD_UNIT": "init.scope", "UNIT": "vllm.service"}, "engine"),
        ({"_SYSTEMD_UNIT": "rocminfra-image-0badcafe.service"}, "image"),
        ({"_SYSTEMD_UNIT": "docker.service"}, None),
        ({}, None),
    ],
)
def test_an_entry_is_told_by_its_unit(fields: dict[str, Any], source: str | None) -> None:
    found = entry(MESSAGE="text", **fields)
    assert (None if found is None else found["source"]) == source


@pytest.mark.parametrize(
    ("message", "text"),
    [("plain", "plain"), ([104, 105], "hi"), ([255], "\ufffd"), (None, ""), ([-1, 300, "x"], "")],
)
def test_a_message_that_is_no_plain_text_is_shown_as_far_as_it_is(message: Any, text: str) -> None:
    found = entry(_SYSTEMD_UNIT="vllm.service", MESSAGE=message)
    assert found is not None
    assert found["text"] == text


def test_a_line_that_is_no_json_is_passed_over() -> None:
    assert read_logs.entry("-- No entries --", UNITS) is None


def test_times_are_utc_with_milliseconds() -> None:
    found = entry(_SYSTEMD_UNIT="vllm.service", __REALTIME_TIMESTAMP="1769851800123456")
    assert found is not None
    assert found["time"] == "2026-01-31T09:30:00.123Z"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"lines": 5}, ["--lines=5"]),
        ({"lines": None, "ago": 60}, ["--since=@940", "--lines=all"]),
        ({"lines": None, "since": 900.0, "follow": True}, ["--since=@900", "--follow"]),
    ],
)
def test_the_journal_is_asked_for_what_is_wanted(
    request_: dict[str, Any], words: list[str]
) -> None:
    command = read_logs.journal_command({"units": UNITS, **request_}, now=1000.0)
    assert set(words) <= set(command)
    assert "--unit=rocminfra-image-*.service" in command


def test_of_a_progress_bar_only_its_last_state_is_shown() -> None:
    assert read_logs.last_lines("a\n 1 %\r 50 %\r 100 %\n\nb", None) == ["a", " 100 %", "b"]
    assert read_logs.last_lines("a\nb\nc\n", 2) == ["b", "c"]
    assert read_logs.last_lines("a\n", 0) == []


def test_a_file_is_followed_also_when_it_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    steps = iter([lambda: path.write_text("old\nnew\nha"), lambda: path.write_text("x\n")])
    monkeypatch.setattr(read_logs.time, "sleep", lambda _s: next(steps)())
    lines = read_logs.followed(path, 4)
    assert [next(lines), next(lines)] == ["new", "x"]


def started(
    tmp_path: Path, request_: dict[str, Any], journalctl: str = JOURNALCTL
) -> subprocess.Popen[str]:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "journalctl"
    if journalctl:
        program.write_text(journalctl)
        program.chmod(0o755)
    path = f"{tmp_path}/bin:/usr/bin:/bin" if journalctl else f"{tmp_path}/bin"
    process = subprocess.Popen(
        [sys.executable, "-c", source("read_logs")],
        env={**os.environ, "PATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"units": UNITS, "lines": 10, **request_}) + "\n")
    process.stdin.flush()
    return process


def test_it_prints_entries_and_files_and_ends(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("1 %\r2 %\n")
    process = started(tmp_path, {"files": {"download": str(tmp_path / "log")}})
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["text"] for line in lines] == ["2 %", "hello", "hi\x1b"]
    assert [line["source"] for line in lines] == ["download", "engine", "engine"]
    assert lines[0]["time"] is None


def test_following_ends_with_standard_input_and_leaves_no_journalctl(tmp_path: Path) -> None:
    process = started(tmp_path, {"follow": True})
    assert process.stdout is not None
    assert process.stdin is not None
    assert json.loads(process.stdout.readline())["text"] == "hello"
    assert "--follow" in (tmp_path / "bin" / "journalctl.asked").read_text()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    deadline = time.monotonic() + 10
    while Path(f"/proc/{children[0]}/cmdline").exists():
        assert time.monotonic() < deadline, "journalctl was left running"
        time.sleep(0.01)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def test_a_host_without_a_journal_says_so(tmp_path: Path) -> None:
    process = started(tmp_path, {}, journalctl="")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "this system has no systemd journal" in err
