"""How long a report of a large run takes, and how much memory: 10 points of 50,000 requests each.

python tests/performance/report.py [--points 10] [--requests 50000] [--json FILE]

The run is the recorded demo with its points repeated and a ``requests.jsonl`` of the given length.
It is one process with one thread, so its processor time is what it takes on an idle machine, and a
busy one does not spoil the measurement. Ends with 1 when that is more than 10 s, or the memory more
than 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import recorded_runs

from rocminfra.planning.bench.requests import Request, lines

MOST_SECONDS = 10.0
MOST_BYTES = 1024**3
_POINT = "02-sweep-throughput"


def make_run(folder: Path, points: int, requests: int) -> Path:
    """A run of that size, with manifests that vouch for it."""
    run = recorded_runs.copy("demo", folder / "20260513T101500Z")
    host = recorded_runs.host_of(run)
    source = host / _POINT
    for path in [one for one in host.iterdir() if one.is_dir() and one != source]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    made = {file.name: file.read_bytes() for file in source.iterdir()}
    for file in source.iterdir():
        file.unlink()
    source.rmdir()
    for number in range(points):
        name = f"{number + 1:02d}-concurrent-{2**number}"
        point = host / name
        point.mkdir()
        for file_name, content in made.items():
            (point / file_name).write_bytes(content)
        recorded_runs.edit(
            point / "point.json",
            lambda record, name=name, number=number: record["point"].update(  # type: ignore[misc]
                name=name, kind="concurrent", streams=2**number, max_concurrency=None
            ),
        )
        with (point / "requests.jsonl").open("w", encoding="utf-8") as stream:
            for line in lines(_requests(number, requests)):
                stream.write(line + "\n")
    recorded_runs.edit(
        host / "job.json",
        lambda job: job["scenario"].update(
            stages=[
                {
                    "kind": "concurrent",
                    "streams": [2**number for number in range(points)],
                    "rates": [],
                    "size": 10,
                    "max_concurrency": 512,
                }
            ]
        ),
    )
    recorded_runs.edit(host / "run.json", lambda record: record.update(points=[], never_run=[]))
    recorded_runs.vouch(run)
    return run


def _requests(seed: int, count: int) -> list[Request]:
    chance = random.Random(seed)
    found = []
    for number in range(count):
        start = 1_795_900_000.0 + number * 0.006
        first = start + chance.expovariate(2.0)
        last = first + chance.uniform(20.0, 60.0)
        found.append(
            Request(
                id=f"{chance.getrandbits(128):032x}",
                attempt=1,
                outcome="completed" if chance.random() > 0.01 else "incomplete",
                scheduled=start,
                start=start,
                first_token=round(first, 6),
                last_token=round(last, 6),
                end=round(last + 0.001, 6),
                tokens_in=8_211,
                tokens_cached=0,
                tokens_out=1_024,
                pieces=1_024,
                in_window=number % 50 != 0,
            )
        )
    return found


@dataclass(frozen=True)
class Cost:
    """What a report took: seconds of the clock and of the processor, and bytes of memory."""

    seconds: float
    processor_seconds: float
    bytes: int


def measure(run: Path) -> tuple[Cost, dict[str, object]]:
    """What it costs to run ``rocminfra report RUN --json`` in a process of its own."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "rocminfra", "report", str(run), "--json"],
        check=False,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(
            f"the report ended with {done.returncode}:\n{done.stderr}{done.stdout[-2000:]}"
        )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime
    return Cost(seconds, processor, usage.ru_maxrss * 1024), json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder), options.points, options.requests)
        size = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
        cost, document = measure(run)
    report = document["report"]
    assert isinstance(report, dict)
    (host,) = report["hosts"]
    assert host["valid"] == options.points, host["verdict"]
    figures = {
        "points": options.points,
        "requests": options.requests,
        "run_mib": round(size / 1024**2, 1),
        "seconds": round(cost.seconds, 2),
        "processor_seconds": round(cost.processor_seconds, 2),
        "peak_mib": round(cost.bytes / 1024**2, 1),
    }
    print(json.dumps(figures))
    if options.json is not None:
        options.json.write_text(json.dumps(figures) + "\n", encoding="utf-8")
    return 0 if cost.processor_seconds <= MOST_SECONDS and cost.bytes <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
