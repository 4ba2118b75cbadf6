"""``make soak``: the demo's benchmark twenty times in a row while every core is busy.

    sudo make soak                  about 45 minutes on two cores
    sudo make soak SOAK_RUNS=5

One practice droplet is brought up and deployed to once. Every run must end with exit code 0 and
all points valid. Points that had to be repeated are counted, and so are those that would have hung
without our launcher's check.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SPIN = "while True: pass"
INSTALL_S = 900
RUN_S = 900


@dataclass(frozen=True)
class Soaked:
    """One run of the benchmark.

    + seconds: wall time, with pyinfra's own
    + problems: why it does not count, a line each
    + repeated: points that were tried more than once
    + healed: points whose end the launcher's check brought about
    """

    seconds: float
    problems: tuple[str, ...]
    repeated: int
    healed: int


def main(arguments: Sequence[str]) -> int:
    """0 when no run failed, else 1."""
    parser = argparse.ArgumentParser(description="the demo's benchmark again and again")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--results", type=Path, help="keep the result folders here")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    results = options.results or Path(tempfile.mkdtemp(prefix="rocminfra-soak-"))
    results = results.resolve()
    soaked: list[Soaked] = []
    try:
        with _droplet() as name:
            _say("deploy")
            _pyinfra(name, "deploy.py", RUN_S)
            with _busy_cores():
                for number in range(1, options.runs + 1):
                    soaked.append(_benchmark(name, results / f"{number:02d}"))
                    _say(_line(number, options.runs, soaked[-1]))
    finally:
        failed = [one for one in soaked if one.problems]
        if soaked:
            _say(_summary(soaked))
        if options.results is None and not failed:
            shutil.rmtree(results, ignore_errors=True)
        else:
            _say(f"results: {results}")
    return 1 if failed else 0


def _benchmark(name: str, results: Path) -> Soaked:
    began = time.monotonic()
    code, output = _pyinfra(
        name,
        "tasks/benchmark.py",
        INSTALL_S,
        *("--data", "bench.scenario=smoke", "--data", f"bench.results_dir={results}"),
        check=False,
    )
    seconds = time.monotonic() - began
    problems: list[str] = []
    if code != 0:
        problems.append(f"exit code {code}:\n{output}")
    points: list[dict[str, Any]] = []
    records = list(results.glob(f"*/{name}/run.json"))
    if len(records) != 1:
        problems.append(f"{len(records)} results came back, 1 expected")
    for record in records:
        points.extend(json.loads(record.read_text(encoding="utf-8"))["points"])
    problems.extend(
        f"{point['label']} {point['outcome']}: {reason}"
        for point in points
        for reason in point["reasons"]
    )
    return Soaked(
        seconds,
        tuple(problems),
        sum(len(point["attempts"]) > 1 for point in points),
        sum(bool((point["attempts"][-1]["launcher"] or {}).get("healed")) for point in points),
    )


def _line(number: int, runs: int, one: Soaked) -> str:
    verdict = "FAILED" if one.problems else "valid"
    text = f"{number}/{runs} {verdict}, {one.seconds:.0f} s"
    text += f", {one.repeated} points repeated" if one.repeated else ""
    text += f", {one.healed} ended by the launcher's check" if one.healed else ""
    return "\n    ".join((text, *one.problems))


def _summary(soaked: Sequence[Soaked]) -> str:
    failed = sum(bool(one.problems) for one in soaked)
    return (
        f"{len(soaked)} runs: {failed} failed, {sum(one.repeated for one in soaked)} points "
        f"repeated, {sum(one.healed for one in soaked)} ended by the launcher's check, "
        f"{min(one.seconds for one in soaked):.0f} to {max(one.seconds for one in soaked):.0f} s"
    )


@contextlib.contextmanager
def _droplet() -> Iterator[str]:
    name = f"soak-{os.getpid()}"
    lab = [sys.executable, "-m", "rocminfra", "lab"]
    _say(f"practice droplet {name}")
    try:
        subprocess.run([*lab, "up", "--name", name], cwd=ROOT, check=True)
        yield name
    finally:
        subprocess.run([*lab, "down", name, "--if-exists"], cwd=ROOT, check=False)


@contextlib.contextmanager
def _busy_cores() -> Iterator[None]:
    """A loop for each core of this machine, so that none is ever idle."""
    loops = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _pyinfra(
    name: str, task: str, timeout_s: float, *words: str, check: bool = True
) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", "inventory/lab.py", task, "--limit", name, *words],
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    if check and done.returncode != 0:
        raise SystemExit(f"{task} ended with exit code {done.returncode}:\n{done.stdout}")
    return done.returncode, done.stdout


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(130)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
