"""The real GuideLLM against an engine that fails while it is measured: errors, silence, death.

The simulator serves the first point as usual and fails within the second
(``ROCMINFRA_SIM_FAIL_AFTER``); ``test_bench_faults.py`` has what needs no GuideLLM.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab_host
import pytest
from deploys import Run, rocminfra
from lab_host import LabHost

from rocminfra.bench.results import verify

pytestmark = [pytest.mark.soak, pytest.mark.lab]

SCENARIO = """\
description: two points; the engine fails in the second
data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}
stages:
  - {profile: synchronous}
  - {profile: concurrent, streams: [4]}
max_seconds: 20
max_requests: 30
overhead_seconds: 90
worker_processes: 2
sample_size: 20
"""
# More than the first point sends, with the engine's own checks; fewer than both do.
AFTER = 50


@dataclass(frozen=True)
class Trouble:
    """A way to fail in the second point.

    + variables: of the simulator
    + said: what is wrong with the point
    + refused: why the run cannot be resumed before the engine is well; None when systemd has
      started it again by then
    """

    variables: dict[str, str]
    said: str
    refused: str | None


TROUBLES = {
    "only errors": Trouble(
        {"ROCMINFRA_SIM_FAIL": "errors:1", "ROCMINFRA_SIM_FAIL_AFTER": str(AFTER)},
        "first error: ",
        "the engine hangs",
    ),
    "answers nothing": Trouble(
        {"ROCMINFRA_SIM_FAIL": "hung", "ROCMINFRA_SIM_FAIL_AFTER": str(AFTER)},
        "the engine answered nothing in the last",
        "the engine hangs",
    ),
    "dies": Trouble(
        {"ROCMINFRA_SIM_FAIL": f"dies-mid-run:{AFTER}"},
        "requests failed",
        None,
    ),
}


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    (droplet,) = lab_host.up(["engine-faults"])
    try:
        yield droplet
    finally:
        lab_host.down(droplet.name)


def serve(host: LabHost, variables: dict[str, str]) -> None:
    """Have the engine serve with these variables, started anew."""
    environment = json.dumps({"ROCMINFRA_SIM_TIME_SCALE": "20", **variables})
    host.ssh("systemctl stop vllm.service")
    run = rocminfra(host, "apply", "--yes", "--data", f"engine.environment={environment}")
    assert run.code == 0, run.err


def bench(host: LabHost, folder: Path, *words: str) -> Run:
    (folder / "faults.yaml").write_text(SCENARIO)
    options = ("--scenario", str(folder / "faults.yaml"))
    return rocminfra(host, "bench", *options, "--data", f"bench.results_dir={folder}/runs", *words)


def points_of(run: Path, host: LabHost) -> list[dict[str, Any]]:
    record = json.loads((run / host.name / "run.json").read_text())
    points: list[dict[str, Any]] = record["points"]
    return points


@pytest.mark.parametrize("name", TROUBLES)
def test_an_engine_that_fails_in_the_second_point(host: LabHost, tmp_path: Path, name: str) -> None:
    trouble = TROUBLES[name]
    serve(host, trouble.variables)
    run = bench(host, tmp_path)
    assert run.code == 8, run.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert verify(folder) == (), "what was measured came back whole"
    first, second = points_of(folder, host)
    assert first["outcome"] == "valid", first["reasons"]
    assert second["outcome"] in ("invalid", "failed")
    assert trouble.said in " ".join(second["reasons"]), second["reasons"]
    assert f"concurrent@4 is {second['outcome']}: " in run.err
    assert f"--resume {folder.name}" in run.err.strip().splitlines()[-1]
    assert host.ok("systemctl list-units --plain --no-legend 'rocminfra-bench-*'") == ""
    assert host.ok("pgrep --full /opt/[r]ocminfra/guidellm- || true") == ""

    if trouble.refused is not None:
        again = bench(host, tmp_path, "--resume", folder.name)
        assert again.code == 7, again.err
        assert trouble.refused in again.err

    serve(host, {})
    resumed = bench(host, tmp_path, "--resume", folder.name)
    assert resumed.code == 0, resumed.err
    kept, repeated = points_of(folder, host)
    assert kept == first, "a finished point was not run again"
    assert repeated["outcome"] == "valid"
    assert len(repeated["attempts"]) >= 1
    assert verify(folder) == ()
