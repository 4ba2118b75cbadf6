"""The gate before a benchmark: what is asked, and that a refused host is out of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_fakes import scenario
from pyinfra import state

from rocminfra.bench.job import Job, make_job
from rocminfra.facts.bench_look import BenchLook
from rocminfra.failure import ExitCode
from rocminfra.operations import bench_start
from rocminfra.operations.host_failures import failures
from rocminfra.planning.bench_start import Engine, Look
from rocminfra.settings import load_settings

DATA = {"kind": "parquet_file", "path": "/mnt/models/docvqa.parquet"}
SETTINGS = load_settings({})
SERVING = Look(
    engine=Engine(models={SETTINGS.model.name: 16384}, running=0, waiting=0, token=""),
    environment="guidellm 0.8.1",
)


def made(**changes: Any) -> Job:
    stages = [{"profile": "sweep", "size": 4}]
    return make_job("20260513T101500Z", "mi300x-1", scenario(stages, **changes), SETTINGS)


def pass_gate(job: Job, results: Path, resumes: bool = False) -> None:
    bench_start.gate(
        job=job,
        results_dir=str(results),
        environment="/opt/rocminfra/guidellm-0.8.1",
        contents="guidellm 0.8.1",
        address="127.0.0.1",
        port=8000,
        resumes=resumes,
    )


@pytest.fixture
def host(scripted: Any) -> Any:
    state.active_hosts.add(scripted)
    return scripted


def test_a_host_that_serves_stays(host: Any, tmp_path: Path) -> None:
    host.facts[BenchLook] = SERVING
    pass_gate(made(data=DATA), tmp_path)
    assert failures(host) == ()
    assert host in state.active_hosts
    ((fact, arguments),) = host.asked
    assert fact is BenchLook
    assert arguments["files"] == ["/mnt/models/docvqa.parquet"]
    assert arguments["model"] == SETTINGS.model.name


@pytest.mark.parametrize(
    ("look", "code", "words"),
    [
        (Look(engine=Engine(problem="refused")), ExitCode.NOT_READY, "no engine is installed"),
        (Look(busy_with="20260513T111111Z"), ExitCode.LOCKED, "20260513T111111Z runs"),
    ],
)
def test_a_host_that_cannot_be_measured_is_out_before_any_operation(
    host: Any, tmp_path: Path, look: Look, code: ExitCode, words: str
) -> None:
    host.facts[BenchLook] = look
    pass_gate(made(), tmp_path)
    (failure,) = failures(host)
    assert failure.kind is code
    assert words in failure.what
    assert host in state.failed_hosts


def test_a_prompt_longer_than_the_engine_takes(host: Any, tmp_path: Path) -> None:
    host.facts[BenchLook] = SERVING
    long = {"kind": "synthetic_text", "prompt_tokens": 16000, "output_tokens": 1000}
    pass_gate(made(data=long), tmp_path)
    (failure,) = failures(host)
    assert failure.kind is ExitCode.SETTINGS
    assert "17,000 tokens, and the engine takes at most 16,384" in failure.what


def test_a_results_folder_that_is_a_file(host: Any, tmp_path: Path) -> None:
    host.facts[BenchLook] = SERVING
    (tmp_path / "results").write_text("mine")
    pass_gate(made(), tmp_path / "results")
    (failure,) = failures(host)
    assert failure.kind is ExitCode.SETTINGS
    assert failure.why == (f"{tmp_path}/results is not a folder",)
