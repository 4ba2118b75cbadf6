"""Hung or slow: decided from what is seen, with a clock of the test's own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rocminfra.host.bench.hang_watch import (
    Look,
    Watch,
    ask_for_stacks,
    bytes_said,
    cpu_seconds,
    family,
    is_idle,
)
from rocminfra.planning.bench.retry import Limits, Verdict

LOAD_S = 3.0
LIMITS = Limits(start_s=120, total_s=300)
IDLE = {"running": 0.0, "waiting": 0.0, "requests": 10.0, "generation_tokens": 320.0}
BEFORE = {**IDLE, "requests": 0.0, "generation_tokens": 0.0}
BUSY = {**IDLE, "running": 4.0}


class World:
    """An attempt that is looked at every second."""

    def __init__(self, limits: Limits = LIMITS, before: Mapping[str, float] | None = BEFORE):
        self.watch = Watch(1000.0, LOAD_S, limits, 60.0, before)
        self.now = 1000.0
        self.said = 100
        self.cpu = {1: 5.0, 2: 3.0}

    def seconds(
        self,
        count: int,
        engine: Mapping[str, float] | None = IDLE,
        begun: bool | None = None,
        cpu: float = 0.1,
        says: int = 0,
    ) -> Verdict | None:
        """The first verdict within ``count`` seconds, or None."""
        for _ in range(count):
            self.now += 1
            self.said += says
            self.cpu = {pid: used + cpu for pid, used in self.cpu.items()}
            verdict = self.watch.look(Look(self.now, engine, self.said, dict(self.cpu), begun))
            if verdict is not None:
                return verdict
        return None

    @property
    def elapsed(self) -> float:
        return self.now - 1000.0


def test_silence_after_the_load_is_a_hang_within_a_minute() -> None:
    world = World()
    assert world.seconds(10, BEFORE) is None
    assert world.seconds(5, BUSY) is None
    assert world.seconds(200) == "hung"
    assert world.elapsed == 15 + 1 + 60


def test_a_healthy_end_is_no_hang() -> None:
    """Up to 16 s after the engine's last activity, and 24 s of GuideLLM's own shutdown."""
    world = World()
    world.seconds(50, BEFORE)
    world.seconds(5, BUSY)
    assert world.seconds(16 + 24) is None


@pytest.mark.parametrize(
    "alive",
    [
        {"engine": BUSY},
        {"says": 80},
        {"cpu": 0.9},
    ],
    ids=["the engine has requests", "GuideLLM logs", "GuideLLM computes"],
)
def test_any_sign_of_life_after_the_load_is_slow(alive: dict[str, object]) -> None:
    world = World()
    world.seconds(5, BUSY)
    assert world.seconds(290, **alive) is None  # type: ignore[arg-type]
    assert world.seconds(10, **alive) == "timeout"  # type: ignore[arg-type]


def test_counters_that_grow_are_a_sign_of_life() -> None:
    world = World()
    world.seconds(5, BUSY)
    for done in range(100):
        assert world.seconds(1, {**IDLE, "requests": float(done)}) is None


def test_silence_before_the_load_is_over_is_none() -> None:
    """A constant rate of one request in five minutes leaves the engine idle for long."""
    watch = Watch(1000.0, 300.0, Limits(600, 900), 60.0, BEFORE)
    watch.look(Look(1010.0, BUSY, 0))
    verdicts = {watch.look(Look(1010.0 + second, IDLE, 0)) for second in range(1, 299)}
    assert verdicts == {None}


def test_no_request_and_silence_is_a_hang_before_the_load() -> None:
    world = World()
    assert world.seconds(200, BEFORE) == "never began"
    assert world.elapsed == pytest.approx(120, abs=1)


def test_who_makes_data_has_begun_nothing_and_does_not_hang() -> None:
    world = World()
    assert world.seconds(250, BEFORE, cpu=1.0) is None


def test_errors_only_leave_no_trace_in_the_engine_and_hang_all_the_same() -> None:
    world = World()
    world.seconds(10, BEFORE, begun=False)
    assert world.seconds(200, BEFORE, begun=True) == "hung"
    assert world.elapsed < 80


def test_the_launchers_word_counts_more_than_somebody_elses_requests() -> None:
    world = World()
    assert world.seconds(30, BUSY, begun=False) is None
    assert world.watch.first_request is None
    assert world.seconds(200, IDLE, begun=False) == "never began"


@pytest.mark.parametrize(
    "engine", [None, {"generation_tokens": 320.0}], ids=["no answer", "no gauges"]
)
def test_an_engine_that_says_nothing_proves_nothing(engine: Mapping[str, float] | None) -> None:
    world = World()
    world.seconds(5, BUSY)
    assert world.seconds(290, engine) is None
    assert world.seconds(10, engine) == "timeout"


def test_without_a_first_sample_the_next_one_is_the_beginning() -> None:
    world = World(before=None)
    world.seconds(5)
    assert world.watch.first_request is None
    world.seconds(1, BUSY)
    assert world.watch.first_request == 1006.0


def test_an_idle_engine_says_so() -> None:
    assert is_idle(IDLE)
    assert not is_idle(BUSY)
    assert not is_idle({**IDLE, "waiting": 1.0})
    assert not is_idle({})
    assert not is_idle(None)


CHILD = f"""
import faulthandler, subprocess, sys, time
if len(sys.argv) > 1:
    faulthandler.register({int(signal.SIGUSR1)}, file=open(sys.argv[1], "a"))
    child = "print(1, flush=True); import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", child])
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "stacks.txt")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"up\n", "1\n"}
    yield process
    for pid in family(process.pid)[1:]:
        subprocess.run(["kill", "-KILL", str(pid)], check=False)
    process.kill()
    process.wait()
    process.stdout.close()


def test_stacks_come_from_those_who_can_and_nobody_dies(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    stacks = tmp_path / "stacks.txt"
    pids = family(parent.pid)
    assert len(pids) == 2
    assert ask_for_stacks(pids, signal.SIGUSR1, stacks)
    assert 'File "<string>"' in stacks.read_text()
    assert family(parent.pid) == pids, "the child, which would die of the signal, lives"
    assert set(cpu_seconds(pids)) == set(pids)


def test_nobody_can_say_where_it_is(tmp_path: Path) -> None:
    assert not ask_for_stacks([], signal.SIGUSR1, tmp_path / "none", patience_s=0.1)
    assert cpu_seconds([2**22 + 1]) == {}
    assert bytes_said(tmp_path) == 0


def test_a_report_that_is_on_its_way_is_output(tmp_path: Path) -> None:
    (tmp_path / "stderr.log").write_bytes(b"12345")
    (tmp_path / ".report.json.new").write_bytes(b"123")
    assert bytes_said(tmp_path) == 8
    (tmp_path / ".report.json.new").rename(tmp_path / "report.json")
    (tmp_path / ".report.html.new").write_bytes(b"1")
    assert bytes_said(tmp_path) == 9


def test_an_old_sample_of_the_engine_is_no_silence() -> None:
    watch = Watch(1000.0, LOAD_S, LIMITS, 60.0, BEFORE)
    for second in range(1, 200):
        seen = Look(1000.0 + second, IDLE, 100, {}, True, engine_at=1001.0)
        assert watch.look(seen) is None, "since 1001 nobody knows what the engine did"
    # The same counters at 1200 s: they have stood still all the while.
    assert watch.look(Look(1200.0, IDLE, 100, {}, True, engine_at=1200.0)) == "hung"
