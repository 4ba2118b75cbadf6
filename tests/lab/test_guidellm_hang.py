"""The real GuideLLM in systemd scopes, against the engine simulator.

Its race at the end of a run, made wide: with our launcher's check it ends; without, it hangs, is
found out, killed and repeated; :mod:`widened_race` says what is stretched. And the warm process:
what it forks is like what is started afresh, and each can be killed without the other.
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
from warm_benchmark import WarmBenchmark, wait_until

from rocminfra.bench.results import verify
from rocminfra.host_paths import BENCH_PROGRAMS

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "/opt/rocminfra/guidellm-0.8.1"
RACE = "/opt/widened_race.py"
MODE = "/opt/widened_race.mode"
# In front of the environment's Python. The first warm process of a run forks what has no check, and
# the next one, which the repeat is forked from, what has it.
PYTHON = f"""#!/bin/sh
mode=$(cat {MODE})
if [ "$mode" = plain-first ]; then
  mode=plain
  echo patched > {MODE}
fi
flag=$1 program=$2
shift 2
exec {ENVIRONMENT}/bin/python3 "$flag" {RACE} "$program" "$mode" "$@"
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


def contents(folder: Path, *points: str) -> dict[str, bytes]:
    """Every file of these points, by its path."""
    files = [path for point in points for path in (folder / point).rglob("*") if path.is_file()]
    assert files
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


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
        told = attempt["launcher"]
        assert told["patched"] is True
        assert told["guidellm"] == "0.8.1"
        assert (told["process"], told["workers"]) == ("forked", "warm")
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
    starts = [point["attempts"][0]["launcher"] for point in points]
    assert [start["process"] for start in starts] == ["forked"] * 3
    assert len({start["parent"] for start in starts}) == 1, "of one warm process"
    healed = [point["attempts"][0]["launcher"]["healed"] for point in points]
    assert sum(healed) >= 1, "none of them met the race, so nothing was shown"


def test_without_the_check_it_hangs_and_the_point_is_repeated(
    host: LabHost, tmp_path: Path
) -> None:
    for number in range(TRIES):
        put(host, MODE, "plain-first")
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
    assert [one["launcher"]["process"] for one in (first, second)] == ["forked", "forked"]
    assert first["launcher"]["parent"] != second["launcher"]["parent"], "nothing is shared"
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


def test_a_point_and_its_warm_process_die_each_for_itself(host: LabHost, tmp_path: Path) -> None:
    put(host, MODE, "patched")
    stages = "[{profile: concurrent, streams: [1, 2, 3]}]"
    text = SCENARIO.replace("STAGES", stages).replace("max_seconds: 3", "max_seconds: 8")
    with WarmBenchmark(host, text, tmp_path) as run:
        first = run.wait_for_load(1)
        (warm,) = run.processes(run.scope("guidellm-1"))
        workers = run.processes(run.scope(first))
        assert len(workers) >= 4, "GuideLLM, the server of its workers, and one worker or more"
        assert not workers & {warm, *run.processes(run.service)}
        host.ok(f"kill -KILL {warm}")

        second = run.wait_for_load(2)
        (other,) = run.processes(run.scope("guidellm-2"))
        assert run.is_alive(workers | {warm}) == set()
        workers = run.processes(run.scope(second))
        with run.paused():
            host.ok(f"systemctl kill --signal=KILL {run.scope(second)}")
            wait_until(lambda: run.is_alive(workers) == set())
            assert run.is_alive({other}) == {other}

        run.wait_for_load(3)
        wait_until(lambda: run.is_alive({other}) == set())
        points = run.points()
        assert [point["outcome"] for point in points] == ["valid", "failed", "valid"]
        assert [point["exit_code"] for point in points] == [0, -9, 0]
        starts = [point["attempts"][0]["launcher"] for point in points]
        assert [start["process"] for start in starts] == ["forked"] * 3
        assert [start["parent"] for start in starts[:2]] == [warm, other]
        assert starts[2]["parent"] not in (warm, other), (
            "one was killed, and the next has a new one"
        )
        assert run.left() == ""

        assert run.code == 1
        assert "concurrent@2 is failed: GuideLLM exited with -9" in run.said(), run.said()
        assert verify(run.folder.parent) == ()
        valid = contents(run.folder, "01-concurrent-1", "01-concurrent-3")
        resumed = run.resume()
        assert resumed.returncode == 0, resumed.stdout
        assert "keeps 2 valid points" in resumed.stdout
        assert contents(run.folder, "01-concurrent-1", "01-concurrent-3") == valid
        assert [point["outcome"] for point in run.points()] == ["valid"] * 3
        (killed,) = (run.folder / "superseded").iterdir()
        assert killed.name == "01-concurrent-2-1"
        assert verify(run.folder.parent) == ()


def test_a_killed_runner_leaves_neither_a_point_nor_its_warm_process(
    host: LabHost, tmp_path: Path
) -> None:
    put(host, MODE, "patched")
    text = SCENARIO.replace("STAGES", "[{profile: concurrent, streams: [1]}]")
    text = text.replace("max_seconds: 3", "max_seconds: 60")
    with WarmBenchmark(host, text, tmp_path) as run:
        point = run.wait_for_load(1)
        found = run.processes(run.scope(point)) | run.processes(run.scope("guidellm-1"))
        host.ok(f"systemctl kill --signal=KILL --kill-who=main {run.service}")
        wait_until(lambda: run.left() == "")
        assert run.is_alive(found) == set()
        assert "the run died before its end" in run.said()


def test_points_of_one_warm_process_send_what_fresh_ones_send(host: LabHost) -> None:
    put(host, MODE, "patched")
    put(host, "/root/same_prompts.py", (Path(__file__).parent / "same_prompts.py").read_text())
    (job,) = host.ok("ls -t /var/lib/rocminfra/runs/*/job.json | head -1").split()
    program = f"PYTHONPATH={BENCH_PROGRAMS} python3 /root/same_prompts.py"
    found = json.loads(host.ok(f"{program} {job} /root/same"))
    starts = [one["origin"]["process"] for one in found]
    assert starts == ["forked", "forked", "fresh", "fresh"]
    assert found[0]["origin"] == found[1]["origin"], "of one warm process"
    sent = [one["sent"] for one in found]
    assert len(sent[0]) == 12
    assert len(set(sent[0])) == 12
    assert sent[0] == sent[1] == sent[2] == sent[3]
