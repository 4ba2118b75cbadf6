"""``rocminfra bench`` and its verbs, and ``rocminfra results``, as commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from schema_check import violations

from rocminfra.runner.cli import rocminfra as command

ROOT = Path(__file__).parents[4]
RECORDED = ROOT / "tests/recorded/runs/demo"
RUN = "20260513T101500Z-3fa9c1"


def rocminfra(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rocminfra", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    shutil.copytree(RECORDED, tmp_path / "results" / RUN)
    return tmp_path


@pytest.mark.parametrize("verb", ["run", "list", "status", "attach", "stop", "collect", None])
def test_help_begins_with_examples(verb: str | None) -> None:
    words = ["bench", *([verb] if verb else []), "--help"]
    lines = CliRunner().invoke(command, words).output.splitlines()
    assert lines[0].startswith(f"Usage: rocminfra {' '.join(words[:-1])}")
    assert lines[2].strip().startswith("rocminfra bench")


def test_bench_alone_runs() -> None:
    output = CliRunner().invoke(command, ["bench", "--scenario", "x", "--help"]).output
    assert output.startswith("Usage: rocminfra bench run")
    assert "--resume" in output


@pytest.mark.parametrize("verb", ["list", "status", "stop"])
def test_a_host_that_cannot_be_reached_ends_with_4(tmp_path: Path, verb: str) -> None:
    done = rocminfra(tmp_path, "bench", verb, "-i", "127.0.0.1", "--data", "ssh_port=1", "--json")
    document = json.loads(done.stdout)
    assert violations(document, f"bench-{verb}") == []
    assert (done.returncode, document["code"]) == (4, 4)


@pytest.mark.parametrize("verb", ["status", "stop", "attach", "collect"])
def test_a_run_that_no_host_knows_is_said(tmp_path: Path, verb: str) -> None:
    done = rocminfra(tmp_path, "bench", verb, "20200101T000000Z", "-i", "@local")
    assert done.returncode == 8, done.stderr
    assert "no host knows run 20200101T000000Z" in done.stderr
    assert done.stderr.splitlines()[-1] == "next: rocminfra bench list -i @local"


@pytest.mark.parametrize("words", [("bench", "list"), ("bench", "status")])
def test_wrong_options_are_a_document_as_well(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = rocminfra(tmp_path, *words, "-i", "missing.py", "--json")
    assert violations(json.loads(done.stdout), "-".join(words)) == []
    assert done.returncode == 3


def test_results_are_listed(results: Path) -> None:
    done = rocminfra(results, "results")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == [RUN, "smoke", "demo", "5", "of", "5"]


def test_the_table_is_printed_again_with_p95_and_p99(results: Path) -> None:
    done = rocminfra(results, "results", "last")
    assert done.returncode == 0
    assert "concurrent@4     155    0" in done.stdout
    assert "TTFT p99 ms" in done.stdout
    assert done.stdout.splitlines()[-1] == f"results: results/{RUN}"


@pytest.mark.parametrize("words", [(), ("last",), (RUN,), ("20200101T000000Z",)])
def test_results_as_json_fit_their_schema(results: Path, words: tuple[str, ...]) -> None:
    done = rocminfra(results, "results", *words, "--json")
    document = json.loads(done.stdout)
    assert violations(document, "results") == []
    assert done.returncode == document["code"] == (3 if words == ("20200101T000000Z",) else 0)
    if words and not done.returncode:
        assert len(document["points"]) == len(document["latencies"]) == 5


def test_results_are_printed_without_pyinfra(results: Path) -> None:
    code = (
        "import sys; from rocminfra.runner.cli import run\n"
        "run(['results', 'last']); print(sorted({'pyinfra', 'gevent'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=results,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
