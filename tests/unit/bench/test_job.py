"""The job of a run, and the programs that carry it out."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from bench_fakes import scenario

from rocminfra.bench.job import make_job, new_run_id
from rocminfra.host.programs import benchmark
from rocminfra.host_paths import BENCH_PROGRAMS
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.records import read
from rocminfra.settings import load_settings

THROUGHPUT = [{"profile": "throughput"}]
# What runs in GuideLLM's environment may use its packages, when it is called and not before.
_THERE = {"document_pages.py": ("PIL", "pyarrow")}


def test_a_run_is_named_by_its_utc_time_and_a_suffix() -> None:
    berlin = timezone(timedelta(hours=2))
    now = datetime(2026, 5, 13, 12, 15, tzinfo=berlin)
    assert re.fullmatch(r"20260513T101500Z-[0-9a-f]{6}", new_run_id(now))
    assert len({new_run_id(now) for _ in range(20)}) == 20, "runs of one second are several"


@pytest.mark.parametrize("run", ["20260513T101500Z", "20260513T101500Z-3fa9c1"])
def test_runs_with_and_without_a_suffix_can_be_resumed(run: str) -> None:
    assert load_settings({"bench.run": run}).bench.run == run
    assert load_settings({"bench.run": new_run_id()}).bench.run is not None


def test_the_same_job_has_the_same_text() -> None:
    made = [make_job("r", "h", scenario(THROUGHPUT), load_settings({})) for _ in range(2)]
    assert made[0].text == made[1].text
    assert read(JobRecord, json.loads(made[0].text), "job.json") == made[0].record


def test_a_tokenizer_of_ours_needs_no_hub() -> None:
    settings = load_settings({"model.source": "/home/me/toy"})
    record = make_job("r", "h", scenario(THROUGHPUT), settings).record
    assert record.tokenizer == "/mnt/models/models/toy"
    assert record.environment["HF_HUB_OFFLINE"] == "1"
    assert record.target == "http://127.0.0.1:8000/v1"
    assert record.guidellm_python == "/opt/rocminfra/guidellm-0.8.1/bin/python"


def test_the_engine_is_measured_where_it_listens() -> None:
    for host, target in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.5", "10.0.0.5")):
        record = make_job("r", "h", scenario(THROUGHPUT), load_settings({"vllm.host": host})).record
        assert record.target == f"http://{target}:8000/v1"
        assert record.metrics_url == f"http://{target}:8000/metrics"


def test_hub_data_may_be_fetched_from_a_mirror() -> None:
    settings = load_settings({"huggingface.endpoint": "https://hub.example.org"})
    hub = {"kind": "huggingface", "source": "lmms-lab/DocVQA"}
    environment = make_job("r", "h", scenario(THROUGHPUT, data=hub), settings).record.environment
    assert "HF_HUB_OFFLINE" not in environment
    assert environment["HF_ENDPOINT"] == "https://hub.example.org"


def test_no_token_is_in_a_job(monkeypatch: object) -> None:
    text = make_job("r", "h", scenario(THROUGHPUT), load_settings({})).text
    assert "HF_TOKEN" not in text


def test_the_programs_need_nothing_but_the_standard_library(tmp_path: Path) -> None:
    for path, text in benchmark().items():
        target = tmp_path / Path(path).relative_to(BENCH_PROGRAMS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        for node in ast.walk(ast.parse(text, feature_version=(3, 10))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.split(".")[0]
                known = {"rocminfra", *sys.stdlib_module_names, *_THERE.get(Path(path).name, ())}
                assert top in known, (path, name)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "rocminfra.host.bench.runner", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
