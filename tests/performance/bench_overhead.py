"""Time of a benchmark point outside its load: GuideLLM's imports, its start, its report, and ours.

    python tests/performance/bench_overhead.py PYTHON_OF_GUIDELLM [--runs 5] [--compare] [--json]

Starts the engine simulator on a free port of this machine and runs the scenario as a host does,
without systemd. ``--runs`` repeats it and prints the median and the range. ``--compare`` runs it
twice more each time, without the warm process: with workers that are forked from one import, and
with workers that import for themselves (GuideLLM's ``spawn``). On a busy machine only the ratios
and the processor time mean anything, so each run prints the load average before it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from rocminfra.bench.job import make_job
from rocminfra.bench.scenario import load_scenario
from rocminfra.host.bench.control_group import ProcessGroups, Running
from rocminfra.host.bench.whole_run import run
from rocminfra.lab import toy_model
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.records import as_json
from rocminfra.planning.bench.requests import read_line
from rocminfra.settings import load_settings

ROOT = Path(__file__).parents[2]
START_S = 60
# The length of a point of the published scenarios, and the most that may be added to it.
POINT_S = 300.0
MOST_OUTSIDE = 0.02
MOST_OURS_S = 1.0
MOST_RUN_S = 60.0
# Workers by GuideLLM's setting; None is the warm process, which forks its own.
WAYS = {"warm": None, "fresh, forkserver": "forkserver", "fresh, spawn": "spawn"}
_SUBREAPER = 36


class Afresh(ProcessGroups):
    """Starts every point's process anew: the warm one, which reads orders, does not come up."""

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        stdin: int = subprocess.DEVNULL,
    ) -> Running:
        """See :meth:`rocminfra.host.bench.control_group.Groups.start`."""
        if stdin != subprocess.DEVNULL:
            raise OSError("not for this measurement")
        return super().start(name, command, folder, environment, stdout, stderr)


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


@dataclass(frozen=True)
class Measured:
    """A run.

    + way: how its processes were started
    + seconds: of the whole run
    + cpu_seconds: processor time of GuideLLM, everything that it started included
    + points: its points
    + load_average: of the machine, over the minute before its beginning
    """

    way: str
    seconds: float
    cpu_seconds: float
    points: tuple[Split, ...]
    load_average: float

    @property
    def outside(self) -> float:
        """Mean time of a point outside its load, in seconds."""
        return sum(one.outside for one in self.points) / len(self.points)

    @property
    def first(self) -> float:
        """Time of the first point outside its load, in seconds: it includes the only import."""
        return self.points[0].outside

    @property
    def next(self) -> float:
        """Mean time of the points after it outside their load, in seconds."""
        return statistics.mean(one.outside for one in self.points[1:] or self.points)

    @property
    def cpu_a_point(self) -> float:
        """Processor time of a point, its load included, in seconds."""
        return self.cpu_seconds / len(self.points)

    @property
    def ours(self) -> float:
        """Our own share of a point, of the slowest one, in seconds."""
        return max(one.ours for one in self.points)

    @property
    def between(self) -> float:
        """Seconds of the run before, between and after points."""
        return self.seconds - sum(one.load + one.outside for one in self.points)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``, in seconds."""
        points = [{**vars(one), "outside": one.outside} for one in self.points]
        return {
            "way": self.way,
            "run_seconds": self.seconds,
            "cpu_seconds_a_point": self.cpu_a_point,
            "outside_mean": self.outside,
            "outside_first": self.first,
            "outside_next": self.next,
            "outside_of_a_300_s_point": self.outside / POINT_S,
            "ours_most": self.ours,
            "between": self.between,
            "load_average": self.load_average,
            "points": points,
        }


def measure(python: str, name: str, place: Path, model: Path, port: int, way: str) -> Measured:
    """A whole run.

    + place: its folder, which does not exist
    + way: one of :data:`WAYS`
    """
    scenario = load_scenario(name, ROOT / "benchmarks")
    settings = load_settings({"model.name": "toy", "vllm.port": port})
    job = make_job("overhead", "here", scenario, settings).record
    context = WAYS[way] or "forkserver"
    environment = {**job.environment, "GUIDELLM__MP_CONTEXT_TYPE": context}
    environment["HF_HUB_OFFLINE"] = "1"
    job = replace(job, guidellm_python=python, tokenizer=str(model), environment=environment)
    place.mkdir()
    (place / "job.json").write_text(json.dumps(as_json(job)))
    load_average = os.getloadavg()[0]
    before = cpu_seconds()
    began = time.monotonic()
    record = run(place, ProcessGroups() if WAYS[way] is None else Afresh())
    seconds = time.monotonic() - began
    used = cpu_seconds() - before
    for point in record.points:
        if point.outcome != "valid":
            raise SystemExit(f"{point.label}: {point.outcome}: {point.reasons}")
        started = (point.attempts[0].launcher or {})["process"]
        if (started == "forked") != (WAYS[way] is None):
            raise SystemExit(f"{point.label}: its process was {started}")
    points = tuple(split(place / one.point.name, one) for one in record.points)
    return Measured(way, seconds, used, points, load_average)


def cpu_seconds() -> float:
    """Processor time of all processes that were started from here and have ended."""
    try:
        # Those whose parent ended before them are this process's own; see main().
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            continue
    except ChildProcessError:
        pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(run: Measured) -> None:
    """Print a run."""
    print(
        f"{run.way}: whole run {run.seconds:.1f} s, load average before it {run.load_average:.1f}"
    )
    print(
        f"{'point':<18}{'load':>7}{'import':>8}{'start':>7}{'report':>8}{'ours':>7}{'outside':>9}"
    )
    for one in run.points:
        print(
            f"{one.label:<18}{one.load:>7.2f}{one.imports:>8.2f}{one.start:>7.2f}"
            f"{one.report:>8.2f}{one.ours:>7.2f}{one.outside:>9.2f}"
        )
    print(
        f"a point: {run.outside:.2f} s outside its load ({run.first:.2f} the first, {run.next:.2f}"
        f" the next), {run.cpu_a_point:.1f} s of processor time; before, between and after points"
        f" {run.between:.2f} s\n",
        flush=True,
    )


def show_bars(runs: Sequence[Measured]) -> None:
    """Print what the warm runs reach of what they should; the worst of them decides."""
    count = len(runs[0].points)
    bars = (
        ("ours, the slowest point", [one.ours for one in runs], MOST_OURS_S, "s"),
        (
            "outside, of a point of 300 s",
            [100 * one.outside / POINT_S for one in runs],
            100 * MOST_OUTSIDE,
            "%",
        ),
        (f"whole run, {count} points", [one.seconds for one in runs], MOST_RUN_S, "s"),
    )
    for what, values, most, unit in bars:
        verdict = "met" if max(values) <= most else "missed"
        print(f"{what}: {spread(values)} {unit}, at most {most:g} {unit}: {verdict}")


def show_ways(runs: Sequence[Measured]) -> None:
    """Print the median and the range of each way, over its runs."""
    print(
        f"{'way':<20}{'whole run':>24}{'outside, first':>24}{'outside, next':>24}{'processor':>24}"
    )
    for way in dict.fromkeys(one.way for one in runs):
        found = [one for one in runs if one.way == way]
        columns = (
            [one.seconds for one in found],
            [one.first for one in found],
            [one.next for one in found],
            [one.cpu_a_point for one in found],
        )
        print(f"{way:<20}" + "".join(f"{spread(values):>24}" for values in columns))


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    median = f"{statistics.median(values):.2f}"
    return median if len(values) == 1 else f"{median} ({min(values):.2f} to {max(values):.2f})"


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="overhead of a benchmark point")
    parser.add_argument("python", help="the Python of an environment with GuideLLM")
    parser.add_argument("--scenario", default="smoke")
    parser.add_argument("--runs", type=int, default=1, help="how often; 1 by default")
    parser.add_argument("--compare", action="store_true", help="also without the warm process")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    # Children of processes that end first become this one's, and their time can be counted
    # (prctl(2)).
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    ways = list(WAYS) if options.compare else ["warm"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = toy_model.build(folder / "toy")
        with engine(model) as port:
            runs = []
            for number in range(options.runs):
                for way in ways:
                    place = folder / f"{number}-{way.replace(', ', '-')}"
                    done = measure(options.python, options.scenario, place, model, port, way)
                    runs.append(done)
                    if not options.json:
                        show(done)
    if options.json:
        print(json.dumps({"runs": [one.as_dict() for one in runs]}, indent=1))
        return 0
    show_ways(runs)
    show_bars([one for one in runs if one.way == ways[0]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
