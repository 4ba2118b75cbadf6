"""GuideLLM's race at the end of a run, made wide: with our launcher's check it ends; without, it
hangs, is found out, killed and repeated.

The real GuideLLM against the engine simulator; :mod:`widened_race` says what is stretched.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab_host
import pytest
from lab_host import LabHost

from rocminfra.bench.results import verify

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "/opt/rocminfra/guidellm-0.8.1"
RACE = "/opt/widened_race.py"
MODE = "/opt/widened_race.mode"
# In front of the environment's Python; a point that is repeated gets the check with its repeat.
PYTHON = f"""#!/bin/sh
mode=$(cat {MODE})
if [ "$mode" = plain-first ]; then
  if [ -d attempt-1 ]; then mode=patched; else mode=plain; fi
fi
exec {ENVIRONMENT}/bin/python3 "$1" {RACE} "$2" "$mode" "$3" "$4" "$5" "$6"
"""
SCENARIO = """\
description: the profiles whose race is the narrowest
data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}
stages: STAGES
max_seconds: 3
worker_processes: 2
sample_size: 20
"""
# One of six stretched runs or so passes by the race all the same.
TRIES = 3


def pyinfra(host: LabHost, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", "inventory/lab.py", *words, "--limit", host.name],
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def benchmark(host: LabHost, folder: Path, stages: str) -> tuple[str, list[dict[str, Any]], Path]:
    """Output, points and folder of a benchmark that must succeed."""
    folder.mkdir()
    scenario = folder / "race.yaml"
    scenario.write_text(SCENARIO.replace("STAGES", stages))
    results = folder / "results"
    data = {"bench.scenario": scenario, "bench.results_dir": results}
    words = [f"--data={key}={value}" for key, value in data.items()]
    done = pyinfra(host, "tasks/benchmark.py", *words)
    assert done.returncode == 0, done.stdout
    (run,) = (path for path in results.iterdir() if not path.name.startswith("."))
    record = json.loads((run / host.name / "run.json").read_text())
    return done.stdout, record["points"], run


def put(host: LabHost, path: str, text: str) -> None:
    subprocess.run(
        [*lab_host.keys.ssh_command(lab_host.PATHS, host.droplet, "root"), f"cat > {path}.new"],
        input=text,
        text=True,
        check=True,
        timeout=60,
    )
    # The environment's Python is a link: what it leads to must not be written to.
    host.ok(f"chmod 0755 {path}.new && mv -f {path}.new {path}")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    (droplet,) = lab_host.up(["hang"])
    try:
        deployed = pyinfra(droplet, "deploy.py")
        assert deployed.returncode == 0, deployed.stdout
        # As it comes: also installs GuideLLM.
        folder = tmp_path_factory.mktemp("as-it-is") / "first"
        _, (point,), _ = benchmark(droplet, folder, "[{profile: synchronous}]")
        (attempt,) = point["attempts"]
        assert attempt["launcher"]["patched"] is True
        assert attempt["launcher"]["guidellm"] == "0.8.1"
        put(droplet, RACE, (Path(__file__).parent / "widened_race.py").read_text())
        put(droplet, f"{ENVIRONMENT}/bin/python", PYTHON)
        yield droplet
    finally:
        lab_host.down(droplet.name)


def test_with_the_check_a_run_that_met_the_race_ends(host: LabHost, tmp_path: Path) -> None:
    put(host, MODE, "patched")
    stages = "[{profile: synchronous}, {profile: concurrent, streams: [1, 2]}]"
    _, points, _ = benchmark(host, tmp_path / "patched", stages)
    assert [point["outcome"] for point in points] == ["valid"] * 3
    assert [len(point["attempts"]) for point in points] == [1] * 3
    healed = [point["attempts"][0]["launcher"]["healed"] for point in points]
    assert sum(healed) >= 1, "none of them met the race, so nothing was shown"


def test_without_the_check_it_hangs_and_the_point_is_repeated(
    host: LabHost, tmp_path: Path
) -> None:
    put(host, MODE, "plain-first")
    for number in range(TRIES):
        began = time.monotonic()
        said, (point,), run = benchmark(
            host, tmp_path / f"plain-{number}", "[{profile: synchronous}]"
        )
        if len(point["attempts"]) == 2:
            break
    else:
        pytest.fail(f"{TRIES} runs with the window stretched, and no hang")
    first, second = point["attempts"]
    assert (first["verdict"], second["verdict"]) == ("hung", "ended")
    assert first["launcher"]["patched"] is False
    assert 60 <= first["seconds"] < 150, "found by its silence, not by the limit of 183 s"
    assert time.monotonic() - began < 300
    assert (first["engine"]["running"], first["engine"]["waiting"]) == (0, 0)
    assert first["engine"]["requests"] > 0
    assert (first["seed"], second["seed"]) == (42, 43)
    folder = run / host.name / point["point"]["name"]
    stacks = (folder / first["folder"] / first["stacks"]).read_text()
    assert "_process_health_monitor" in stacks, "its tasks"
    assert "_receive_messages_task_thread" in stacks, "its threads"
    assert "synchronous: GuideLLM hung after its load" in said
    assert "attempt 2 begins" in said
    assert "2 attempts" in said
    assert "synchronous: attempt 1 of 2 is invalid" in said
    assert verify(run) == ()
    assert host.ok("pgrep --full [w]idened_race || true") == ""
