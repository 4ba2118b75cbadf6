"""Both published scenarios on a practice droplet, by the commands of docs/benchmark.md.

Token counts, streams, number of points and size of pages are the published ones; durations and the
time scale are not. Point by point and in GuideLLM's own process, about 40 minutes on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab_host
import pytest
from deploys import ROOT, pyinfra
from lab_host import LabHost

pytestmark = [pytest.mark.soak, pytest.mark.lab]

SWEEP = ["synchronous", "throughput", *["constant"] * 8]
RUN_S = 3600


@pytest.fixture(scope="module")
def served() -> Iterator[LabHost]:
    (host,) = lab_host.up(["published"])
    try:
        run = pyinfra((host,), "-y", "deploy.py")
        assert run.code == 0, run.err
        yield host
    finally:
        lab_host.down(host.name)


def points_of(host: LabHost, scenario: str, results: Path) -> list[dict[str, Any]]:
    """Run a scenario; the points of its record, all valid."""
    command = [sys.executable, "-m", "rocminfra", "bench", "-i", "inventory/lab.py"]
    done = subprocess.run(
        [
            *(*command, "--limit", host.name, "--scenario", scenario),
            *("--data", f"bench.results_dir={results}"),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=RUN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = results.glob(f"*/{host.name}/run.json")
    points: list[dict[str, Any]] = json.loads(record.read_text())["points"]
    assert {point["outcome"] for point in points} == {"valid"}
    return points


@pytest.mark.parametrize("scenario", ["lab_sweep", "lab_sweep_native"])
def test_the_published_sweep(served: LabHost, scenario: str, tmp_path: Path) -> None:
    points = points_of(served, scenario, tmp_path)
    assert [point["point"]["kind"] for point in points] == SWEEP
    for point in points:
        # The chat template is on top, 19 tokens as in the published run.
        assert abs(point["figures"]["prompt_tokens_p50"] - 8211) <= 8
        assert point["figures"]["output_tokens_p50"] == 1024
    processes = {point["stage"] for point in points}
    assert processes == ({"01-sweep"} if scenario.endswith("native") else {None})


def test_the_published_questions_about_pages(served: LabHost, tmp_path: Path) -> None:
    (point,) = points_of(served, "lab_docvqa", tmp_path)
    assert point["label"] == "concurrent@64"
    assert point["figures"]["image_pixels_mean"] == 1700 * 2200
    assert point["figures"]["completed"] >= 46, "as many as the published run completed"
