"""A benchmark session against this machine, with an engine that is a fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import (
    FakeEngine,
    LocalHost,
    calls,
    fake_guidellm,
    job,
    kill_group,
    scenario,
)

from rocminfra.bench.job import Job
from rocminfra.bench.session import Outcome, Session

STAGES = [{"profile": "concurrent", "streams": [4]}, {"profile": "sweep", "size": 3}]


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine().serving() as serving:
        yield serving


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return fake_guidellm(tmp_path / "guidellm")


@pytest.fixture
def made(tmp_path: Path, program: Path, engine: FakeEngine) -> Job:
    return job(tmp_path / "runs", program, engine, scenario(STAGES))


@pytest.fixture
def remote(tmp_path: Path) -> LocalHost:
    return LocalHost(tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def carry(
    made: Job, remote: LocalHost, tmp_path: Path, said: list[str], program: Path
) -> Iterator[Callable[..., Outcome]]:
    def run(**changes: Any) -> Outcome:
        arguments = {
            "job": made,
            "remote": remote,
            "results_dir": tmp_path / "results",
            "say": said.append,
            **changes,
        }
        return Session(**arguments).run()

    yield run
    # A session that gave up leaves its benchmark running, as it should.
    status = Path(made.folder) / "status.json"
    if status.exists():
        kill_group(json.loads(status.read_text())["pid"])
    for call in calls(program):
        kill_group(call["pid"])
