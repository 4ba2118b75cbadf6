"""The list of a host's runs, on this machine."""

from __future__ import annotations

import fcntl
import json
import subprocess
from pathlib import Path

from rocminfra.facts.bench_runs import BenchRuns, HostRun
from rocminfra.host.programs import source

OLD, NEW, DEAD = "20260513T101500Z", "20260513T101500Z-3fa9c1", "20260512T101500Z-000000"


def listed(folder: Path) -> tuple[HostRun, ...]:
    fact = BenchRuns()
    command = fact.command(runs=str(folder), asked_at=1.0)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return fact.process(done.stdout.splitlines())


def make(folder: Path, name: str, state: str, outcomes: list[str]) -> Path:
    run = folder / name
    run.mkdir(parents=True)
    points = [{"outcome": outcome} for outcome in outcomes]
    status = {"state": state, "planned": 4, "points": points, "current": "concurrent@4"}
    (run / "status.json").write_text(json.dumps(status))
    (run / "job.json").write_text(json.dumps({"scenario": {"name": "smoke"}}))
    (run / "lock").touch()
    return run


def test_the_program_fits_into_a_command() -> None:
    assert "'" not in source("bench_runs")


def test_a_host_without_runs_has_none(tmp_path: Path) -> None:
    assert listed(tmp_path / "nothing") == ()
    assert BenchRuns.default() == ()


def test_runs_are_told_newest_first_and_a_dead_one_is_known(tmp_path: Path) -> None:
    make(tmp_path, OLD, "finished", ["valid"] * 4)
    make(tmp_path, DEAD, "running", ["valid"])
    running = make(tmp_path, NEW, "running", ["valid", "invalid"])
    (tmp_path / "lock").touch()
    (tmp_path / "20260101T000000Z.tar.gz").touch()
    with (running / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = listed(tmp_path)
    assert [(run.run, run.state, run.points, run.valid) for run in found] == [
        (NEW, "running", 2, 1),
        (OLD, "finished", 4, 4),
        (DEAD, "died", 1, 1),
    ]
    assert found[0].scenario == "smoke"
    assert found[0].began is not None


def test_a_run_that_never_began_is_not_listed(tmp_path: Path) -> None:
    make(tmp_path, OLD, "finished", [])
    (tmp_path / NEW).mkdir()
    (tmp_path / NEW / "job.json").write_text("{}")
    (tmp_path / NEW / "refused").write_text(OLD)
    assert [run.run for run in listed(tmp_path)] == [OLD]


def test_a_run_whose_files_are_damaged_is_listed_by_its_name(tmp_path: Path) -> None:
    run = make(tmp_path, OLD, "finished", [])
    (run / "status.json").write_text("{")
    (run / "job.json").write_text("[]")
    (found,) = listed(tmp_path)
    assert (found.run, found.state, found.scenario, found.planned) == (OLD, "none", None, 0)
