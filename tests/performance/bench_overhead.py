"""Time of a benchmark point outside its load: GuideLLM's imports, its start, its report, and ours.

    python tests/performance/bench_overhead.py PYTHON_OF_GUIDELLM [--scenario smoke] [--compare]

Starts the engine simulator on a free port of this machine and runs the scenario as a host does,
without systemd. ``--compare`` runs it a second time with workers that import for themselves
(GuideLLM's ``spawn``): on a busy machine only the ratio of the two means anything.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rocminfra.bench.job import make_job
from rocminfra.bench.scenario import load_scenario
from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.host.bench.runner import run
from rocminfra.lab import toy_model
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.records import as_json
from rocminfra.planning.bench.requests import read_line
from rocminfra.settings import load_settings

ROOT = Path(__file__).parents[2]
START_S = 60


@dataclass(frozen=True)
class Split:
    """Seconds of a point.

    + load: from its first request to the end of its last
    + imports: until GuideLLM's modules are imported, from the start of its process
    + start: from there to the first request: data, workers, validation
    + report: from the last request to the end of its process
    + ours: everything before and after its process
    """

    label: str
    load: float
    imports: float
    start: float
    report: float
    ours: float

    @property
    def outside(self) -> float:
        """Everything but the load."""
        return self.imports + self.start + self.report + self.ours


def split(folder: Path, record: PointRecord) -> Split:
    """How a point spent its time.

    + folder: the point's folder
    + record: its record, of one attempt
    """
    (attempt,) = record.attempts
    launcher = attempt.launcher or {}
    found = [read_line(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    first = min(one.start for one in found if one.start is not None)
    last = max(one.end for one in found if one.end is not None)
    return Split(
        label=record.label,
        load=last - first,
        imports=launcher["imported"] - attempt.started,
        start=first - launcher["imported"],
        report=attempt.ended - last,
        ours=record.wall_seconds - attempt.seconds,
    )


@contextmanager
def engine(model: Path) -> Iterator[int]:
    """The engine simulator; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    words = ["serve", str(model), "--served-model-name", "toy", "--port", str(port)]
    simulated = {"ROCMINFRA_SIM_TIME_SCALE": "20", "ROCMINFRA_SIM_LOAD_SECONDS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rocminfra.lab.engine", *words, "--max-model-len", "16384"],
        cwd=ROOT,
        env={**os.environ, **simulated},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while not answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("the engine simulator does not start")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether the engine serves."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2):
            return True
    except OSError:
        return False


def measure(
    python: str, name: str, folder: Path, model: Path, port: int, context: str
) -> tuple[float, list[Split]]:
    """Seconds of a whole run, and its points.

    + context: GuideLLM's way to start workers
    """
    scenario = load_scenario(name, ROOT / "benchmarks")
    settings = load_settings({"model.name": "toy", "vllm.port": port})
    job = make_job("overhead", "here", scenario, settings).record
    environment = {**job.environment, "GUIDELLM__MP_CONTEXT_TYPE": context}
    environment["HF_HUB_OFFLINE"] = "1"
    job = replace(job, guidellm_python=python, tokenizer=str(model), environment=environment)
    place = folder / context
    place.mkdir()
    (place / "job.json").write_text(json.dumps(as_json(job)))
    began = time.monotonic()
    record = run(place, ProcessGroups())
    seconds = time.monotonic() - began
    for point in record.points:
        if point.outcome != "valid":
            raise SystemExit(f"{point.label}: {point.outcome}: {point.reasons}")
    return seconds, [split(place / one.point.name, one) for one in record.points]


def show(context: str, seconds: float, points: list[Split]) -> None:
    """Print a run."""
    print(f"workers by {context}, whole run {seconds:.1f} s, load average {os.getloadavg()[0]:.1f}")
    print(
        f"{'point':<16}{'load':>7}{'import':>8}{'start':>7}{'report':>8}{'ours':>7}{'outside':>9}"
    )
    for one in points:
        print(
            f"{one.label:<16}{one.load:>7.2f}{one.imports:>8.2f}{one.start:>7.2f}"
            f"{one.report:>8.2f}{one.ours:>7.2f}{one.outside:>9.2f}"
        )
    count = len(points)
    between = seconds - sum(one.load + one.outside for one in points)
    mean = sum(one.outside for one in points) / count
    print(f"mean outside the load {mean:.2f} s; before, between and after points {between:.2f} s")


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="overhead of a benchmark point")
    parser.add_argument("python")
    parser.add_argument("--scenario", default="smoke")
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    contexts = ["forkserver", "spawn"] if options.compare else ["forkserver"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = toy_model.build(folder / "toy")
        with engine(model) as port:
            means = []
            for context in contexts:
                seconds, points = measure(
                    options.python, options.scenario, folder, model, port, context
                )
                show(context, seconds, points)
                means.append(sum(one.outside for one in points) / len(points))
    if len(means) == 2:
        print(f"forkserver takes {means[0] / means[1]:.0%} of spawn's time outside the load")
    return 0


if __name__ == "__main__":
    sys.exit(main())
