"""What runs now: every ten seconds a line without a terminal, live on one."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rocminfra.runner.output.live import Shown, activity_lines, activity_words, folded
from rocminfra.runner.run.activity import Activities

ROOT = Path(__file__).parents[4]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_words_say_elapsed_bytes_rate_and_what_is_left(clock: Clock) -> None:
    activity = Activities(clock).begin("Pull rocm/vllm", "gpu-1", total_bytes=22_000_000_000)
    assert activity_words(activity) == "[gpu-1] Pull rocm/vllm: 0.0 s"
    activity.update(done_bytes=0)
    clock.now += 10
    activity.update(done_bytes=1_000_000_000)
    assert activity_words(activity) == (
        "[gpu-1] Pull rocm/vllm: 10.0 s, 1.0 GB of 22.0 GB, 100 MB/s, about 3 min 30 s left"
    )


def test_a_stall_shows_in_the_rate(clock: Clock) -> None:
    activity = Activities(clock).begin("Download", total_bytes=1000)
    for done in (0, 100, 200, 300):
        activity.update(done_bytes=done)
        clock.now += 10
    for _ in range(4):
        activity.update(done_bytes=300)
        clock.now += 10
    assert activity.bytes_per_s() == 0


def test_what_is_usual_counts_down_and_is_said_when_it_is_over(clock: Clock) -> None:
    activity = Activities(clock).begin("Load", expected_s=60)
    clock.now += 20
    assert activity_words(activity) == "Load: 20.0 s, about 40.0 s left"
    clock.now += 50
    assert activity_words(activity) == "Load: 1 min 10 s, usually 1 min 0 s"


def test_without_a_terminal_a_line_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    activities = Activities(clock)
    shown = Shown(activities)
    slow = activities.begin("Load", "gpu-1")
    for _ in range(25):
        clock.now += 1
        shown.tick()
    assert capsys.readouterr().err.splitlines() == [
        "    [gpu-1] Load: 10.0 s",
        "    [gpu-1] Load: 20.0 s",
    ]
    slow.end()
    clock.now += 60
    shown.tick()
    assert capsys.readouterr().err == ""


def test_many_hosts_do_not_fill_the_screen(clock: Clock) -> None:
    activities = Activities(clock)
    for number in range(40):
        activities.begin("Connect", f"gpu-{number}")
    assert len(activity_lines(activities.running)) == 13
    assert activity_lines(activities.running)[-1] == "… and 28 more"


def test_a_narrow_terminal_shows_all_of_a_line() -> None:
    figures = "120 requests, 2,621 tokens/s, KV 93 %, 64 running, 3 waiting"
    line = f"… [gpu-1] Run benchmark smoke as 20260513T101500Z: 45.0 s, point 3 of 10; {figures}"
    for width in (40, 80):
        found = folded([line], width, 24)
        assert max(len(part) for part in found) <= width
        assert "".join("".join(found).split()) == "".join(line.split())
    assert folded([line], 200, 24) == [line]
    assert folded([line] * 12, 40, 24) == [line] * 12, "no room: each is cut at its end"


def test_an_activity_that_raises_is_over(clock: Clock) -> None:
    activities = Activities(clock)
    with contextlib.suppress(ValueError), activities.begin("x"):
        raise ValueError
    assert activities.running == []


PROGRAM = """
import sys, time
from rocminfra.runner.output import live
from rocminfra.runner.output.terminal import message
from rocminfra.runner.run.activity import Activities
live.APPEARS_AFTER_S = 0.0
activities = Activities()
with live.Shown(activities) as shown:
    with activities.begin("Load the weights", "gpu-1"):
        shown.tick()
        message("a line [with] :brackets: " + "x" * 90)
        time.sleep(0.4)
    print("asked?", file=sys.stderr)
"""


def test_on_a_terminal_it_is_live_and_gone_afterwards(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # how a terminal whose process has ended says so
        while block := os.read(ours, 4096):
            seen += block
    os.close(ours)
    assert process.wait(timeout=20) == 0, seen
    assert b"[gpu-1] Load the weights" in seen
    # A line goes above it as it is, and is not cut into pieces of 80 columns.
    assert b"a line [with] :brackets: " + b"x" * 90 in seen
    # What was live is erased before the next line, and the cursor is back.
    assert b"\x1b[2K" in seen[: seen.index(b"asked?")]
    assert seen.rindex(b"\x1b[?25h") < seen.index(b"asked?")
