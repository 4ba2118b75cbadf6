"""A run on the host: detached, killed, resumed, and never without a manifest."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import RUN, FakeEngine, calls, is_gone, job, profiles, scenario, set_modes
from fake_guidellm import FakeEnvironment

from rocminfra.bench.results import digests_below
from rocminfra.host.bench import files
from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.host.bench.lock import Busy
from rocminfra.host.bench.run_status import status
from rocminfra.host.bench.runner import main
from rocminfra.host.bench.whole_run import run
from rocminfra.planning.bench.manifest import MANIFEST, differences, parse_manifest
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.planning.bench.records import read
from rocminfra.planning.bench.retry import Patience

STAGES = [{"profile": "concurrent", "streams": [4]}, {"profile": "sweep", "size": 3}]
ROOT = Path(__file__).parents[4]
PATIENCE_S = 30.0
PATIENCE = Patience(silence_s=0.6, idle_s=0.5, look_s=0.05)
# What the service runs, with less patience.
HASTY = f"""
import pathlib, sys
from rocminfra.host.bench.whole_run import run
from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.planning.bench.records import read
from rocminfra.planning.bench.retry import Patience
run(pathlib.Path(sys.argv[1]), ProcessGroups(0.2), {PATIENCE!r})
"""


@pytest.fixture
def folder(tmp_path: Path, engine: FakeEngine, program: Path) -> Path:
    made = job(tmp_path / "runs", program, engine, scenario(STAGES))
    path = Path(made.folder)
    path.mkdir(parents=True)
    (path / "job.json").write_text(made.text)
    return path


def go(folder: Path) -> RunRecord:
    return run(folder, ProcessGroups(grace_s=0.2), PATIENCE)


def outcomes(record: RunRecord) -> dict[str, str]:
    return {point.point.name: point.outcome for point in record.points}


def manifest_problems(folder: Path) -> tuple[str, ...]:
    found = digests_below(folder)
    for name in (MANIFEST, "status.json", "lock"):
        found.pop(name, None)
    return differences(parse_manifest((folder / MANIFEST).read_text()), found)


def test_a_whole_scenario(folder: Path, program: Path) -> None:
    record = go(folder)
    assert record.state == "finished"
    assert list(outcomes(record).values()) == ["valid"] * 4
    assert profiles(program) == ["concurrent", "synchronous", "throughput", "constant"]
    assert record.provenance.engine == "0.20.1+fake"
    assert read(RunRecord, json.loads((folder / "run.json").read_text()), "run.json") == record
    assert manifest_problems(folder) == ()
    told = status(folder, seen=-1, wait_s=0)
    assert (told.state, told.planned, len(told.points)) == ("finished", 4, 4)
    assert told.busy_with is None


@pytest.mark.parametrize("version", ["0.8.1", "0.9.0"])
def test_points_of_a_run_are_forked_from_one_process_or_each_started_afresh(
    tmp_path: Path, engine: FakeEngine, version: str
) -> None:
    guidellm = FakeEnvironment(tmp_path / "guidellm", version)
    stages = [{"profile": "concurrent", "streams": [1, 2]}]
    made = job(tmp_path / "runs", Path(guidellm.python), engine, scenario(stages))
    folder = Path(made.folder)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(made.text)
    # It writes no report: only how it was started is looked at.
    one, two = (point.attempts[0] for point in go(folder).points)
    assert one.exit_code == two.exit_code == 0
    found = [
        json.loads((folder / f"01-concurrent-{streams}" / "found.json").read_text())
        for streams in (1, 2)
    ]
    assert found[0]["pid"] != found[1]["pid"]
    assert one.seed != two.seed
    assert found[0]["same"]["prompts"] != found[1]["same"]["prompts"]
    for attempt, point in zip((one, two), found, strict=True):
        started = attempt.launcher or {}
        if version == "0.8.1":
            assert (started["process"], started["patched"]) == ("forked", True)
            assert started["parent"] == found[0]["imported"] == point["imported"]
            assert is_gone(started["parent"]), "it ends with the run"
        else:
            assert (started["process"], started["patched"]) == ("fresh", False)
            assert "only 0.8.1 is known to stand it" in started["why_fresh"]
            assert point["imported"] == point["pid"]


def test_a_bad_point_does_not_stop_the_others(folder: Path, program: Path) -> None:
    set_modes(program, concurrent="errors", throughput="silent")
    record = go(folder)
    assert outcomes(record) == {
        "01-concurrent-4": "invalid",
        "02-sweep-synchronous": "valid",
        "02-sweep-throughput": "failed",
    }
    assert record.never_run == ("02-sweep-constant-1",)
    assert manifest_problems(folder) == ()


def test_resuming_runs_only_what_is_not_valid(folder: Path, program: Path) -> None:
    set_modes(program, concurrent="errors", throughput="silent")
    go(folder)
    set_modes(program)
    before = len(calls(program))
    record = go(folder)
    assert profiles(program)[before:] == ["concurrent", "throughput", "constant"]
    assert set(outcomes(record).values()) == {"valid"}
    assert record.never_run == ()
    assert (folder / "superseded" / "01-concurrent-4-1" / "point.json").exists()
    assert manifest_problems(folder) == ()


def test_resuming_a_finished_run_runs_nothing(folder: Path, program: Path) -> None:
    first = go(folder)
    before = len(calls(program))
    again = go(folder)
    assert len(calls(program)) == before
    assert outcomes(again) == outcomes(first)


def test_a_point_that_was_cut_off_runs_again(folder: Path, program: Path) -> None:
    go(folder)
    (folder / "02-sweep-throughput" / "point.json").unlink()
    before = len(calls(program))
    go(folder)
    assert profiles(program)[before:] == ["throughput"]


@pytest.fixture
def detached(folder: Path, program: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*program: str) -> subprocess.Popen[bytes]:
        program = program or ("-m", "rocminfra.host.bench.runner", "run")
        started.append(
            subprocess.Popen(
                [sys.executable, *program, str(folder)],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    for call in calls(program):
        try:
            os.killpg(call["pid"], signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for_call(program: Path, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(calls(program)) < number:
        assert time.monotonic() < deadline, "GuideLLM was not started"
        time.sleep(0.02)


def test_killed_mid_run_it_is_known_to_have_died_and_goes_on_where_it_was(
    folder: Path, program: Path, detached: Callable[[], subprocess.Popen[bytes]], capsys: Any
) -> None:
    set_modes(program, synchronous="slow")
    process = detached()
    wait_for_call(program, 2)
    told = status(folder, seen=-1, wait_s=0)
    assert (told.state, told.current, told.busy_with) == ("running", "synchronous", RUN)
    with pytest.raises(Busy, match=RUN):
        go(folder)

    process.kill()
    process.wait()
    assert status(folder, seen=99, wait_s=PATIENCE_S).state == "died"
    # What there is can be brought back, though nothing could write a manifest.
    assert main(["manifest", str(folder)]) == 0
    listed = parse_manifest(json.loads(capsys.readouterr().out)["manifest"])
    assert "01-concurrent-4/point.json" in listed
    assert all(files.sha256(folder / name) == digest for name, digest in listed.items())

    set_modes(program)
    record = go(folder)
    assert profiles(program) == [
        *("concurrent", "synchronous"),
        *("synchronous", "throughput", "constant"),
    ]
    assert set(outcomes(record).values()) == {"valid"}


def test_told_to_stop_it_leaves_a_manifest_and_no_process(
    folder: Path, program: Path, detached: Callable[[], subprocess.Popen[bytes]]
) -> None:
    set_modes(program, synchronous="slow")
    process = detached()
    wait_for_call(program, 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 1
    assert status(folder, seen=-1, wait_s=0).state == "stopped"
    assert manifest_problems(folder) == ()
    with pytest.raises(ProcessLookupError):
        os.killpg(calls(program)[-1]["pid"], 0)


def test_a_second_benchmark_on_the_host_is_told_which_one_runs(
    folder: Path, program: Path, detached: Callable[[], subprocess.Popen[bytes]], capsys: Any
) -> None:
    set_modes(program, concurrent="slow")
    detached()
    wait_for_call(program, 1)
    other = folder.parent / "20260513T111111Z"
    other.mkdir()
    (other / "job.json").write_text((folder / "job.json").read_text())
    assert status(other, seen=-1, wait_s=0).busy_with == RUN
    assert main(["run", str(other)]) == 9
    assert RUN in capsys.readouterr().err


def test_a_run_that_was_refused_says_for_which_when_that_one_has_ended(
    folder: Path, program: Path, detached: Callable[[], subprocess.Popen[bytes]]
) -> None:
    set_modes(program, concurrent="slow")
    process = detached()
    wait_for_call(program, 1)
    other = folder.parent / "20260513T111111Z"
    other.mkdir()
    (other / "job.json").write_text((folder / "job.json").read_text())
    assert main(["run", str(other)]) == 9
    process.kill()
    process.wait()
    # At once, not after the wait.
    began = time.monotonic()
    told = status(other, seen=-1, wait_s=PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2
    assert (told.state, told.busy_with, told.refused_for) == ("none", None, RUN)

    set_modes(program)
    go(other)
    assert status(other, seen=-1, wait_s=0).refused_for is None
    assert "refused" not in files.result_files(other)


def test_asking_for_the_status_keeps_no_run_from_starting(folder: Path) -> None:
    shared = (folder.parent / "lock").open("w")
    fcntl.flock(shared, fcntl.LOCK_SH)
    looker = threading.Timer(0.2, shared.close)
    looker.start()
    assert go(folder).state == "finished"
    looker.join()


def test_a_run_that_never_was_has_no_state(tmp_path: Path) -> None:
    told = status(tmp_path / "none", seen=-1, wait_s=0)
    assert (told.state, told.points, told.scenario) == ("none", (), None)


def test_a_repeat_is_told_while_it_runs_and_after(
    folder: Path, engine: FakeEngine, program: Path
) -> None:
    engine.is_quiet = True
    set_modes(program, concurrent="served, then hangs once", synchronous="silent")
    record = go(folder)
    told = status(folder, seen=-1, wait_s=0)
    (repeat,) = told.repeats
    assert (repeat.name, repeat.attempt) == ("01-concurrent-4", 2)
    assert "hung after its load" in repeat.why
    assert told.points[0].attempts == 2
    assert outcomes(record)["01-concurrent-4"] == "valid"
    manifest = parse_manifest((folder / MANIFEST).read_text())
    assert "01-concurrent-4/attempt-1/stacks.txt" in manifest
    assert manifest_problems(folder) == ()


def test_killed_while_it_repeats_no_seed_is_used_twice(
    folder: Path,
    engine: FakeEngine,
    program: Path,
    detached: Callable[..., subprocess.Popen[bytes]],
) -> None:
    engine.is_quiet = True
    set_modes(program, concurrent="served, then hangs")
    process = detached("-c", HASTY)
    wait_for_call(program, 2)
    told = status(folder, seen=-1, wait_s=0)
    assert (told.state, told.current) == ("running", "concurrent@4")
    assert [repeat.attempt for repeat in told.repeats] == [2]
    process.kill()
    process.wait()
    assert status(folder, seen=99, wait_s=PATIENCE_S).state == "died"
    os.killpg(calls(program)[-1]["pid"], signal.SIGKILL)

    engine.is_quiet = False
    set_modes(program)
    record = go(folder)
    assert set(outcomes(record).values()) == {"valid"}
    assert [call["seed"] for call in calls(program)] == [42, 43, 44, 1042, 2042, 3042]
    assert record.points[0].attempts[0].number == 1
    kept = folder / "superseded" / "01-concurrent-4-1" / "attempt-1"
    assert json.loads((kept / "attempt.json").read_text())["verdict"] == "hung"
    assert (kept / "stacks.txt").exists()
    assert manifest_problems(folder) == ()


def test_resuming_after_two_hangs_tries_again_with_a_third_seed(
    folder: Path, engine: FakeEngine, program: Path
) -> None:
    engine.is_quiet = True
    set_modes(program, concurrent="served, then hangs", synchronous="crash")
    assert outcomes(go(folder)) == {"01-concurrent-4": "failed", "02-sweep-synchronous": "failed"}
    engine.is_quiet = False
    set_modes(program)
    before = len(calls(program))
    record = go(folder)
    assert set(outcomes(record).values()) == {"valid"}
    assert [call["seed"] for call in calls(program)[before:]] == [44, 1043, 2042, 3042]


def test_records_of_an_older_version_are_resumed(folder: Path, program: Path) -> None:
    go(folder)
    for path in folder.glob("*/point.json"):
        record = json.loads(path.read_text())
        del record["attempts"]
        path.write_text(json.dumps(record))
    before = len(calls(program))
    assert set(outcomes(go(folder)).values()) == {"valid"}
    assert len(calls(program)) == before
    assert [point.attempts for point in status(folder, -1, 0).points] == [1] * 4


@pytest.mark.parametrize("verb", ["status", "manifest", "pack"])
def test_an_answer_imports_nothing_of_what_runs_points(folder: Path, verb: str) -> None:
    program = (
        "import sys; from rocminfra.host.bench.runner import main; "
        "main(sys.argv[1:]); print([name for name in sys.modules if name in "
        "('rocminfra.host.bench.whole_run', 'rocminfra.host.bench.point', 'asyncio')])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, verb, str(folder)],
        env={"PYTHONPATH": str(ROOT)},
        input="[]",
        capture_output=True,
        text=True,
        check=True,
        errors="replace",
    )
    assert done.stdout.endswith("[]\n"), done.stdout
