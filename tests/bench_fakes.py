"""Stand-ins for a benchmark's surroundings: GuideLLM, its report, the engine, the host."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench_local_host import LocalHost as LocalHost

from rocminfra.bench.job import Job, make_job
from rocminfra.bench.scenario import Scenario
from rocminfra.planning.bench.outcome_records import AttemptRecord, PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.settings import load_settings

MODEL = "toy"
RUN = "20260513T101500Z"

# Reads its mode from the file beside it, keyed by profile, so that a test can change it between
# two attempts; notes every call.
FAKE_GUIDELLM = """#!{python}
import faulthandler, json, os, signal, subprocess, sys, time, urllib.request
from pathlib import Path
home = Path(__file__).parent
config = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
profile = config["spec"]["profile"]
with (home / "calls").open("a") as calls:
    call = {{"profile": profile, "cwd": os.getcwd(), "pid": os.getpid()}}
    calls.write(json.dumps({{**call, "seed": config["spec"]["seed"]["value"]}}) + "\\n")
number = (home / "calls").read_text().count(json.dumps(profile))
modes = json.loads((home / "modes.json").read_text())
mode = modes.get(profile["kind"], "ok")
if mode.startswith(("served, then", "never begins")):
    stacks = open("stacks.txt", "a")
    faulthandler.register(signal.SIGUSR1, file=stacks)
    served = mode.startswith("served, then")
    if served:
        urllib.request.urlopen(config["spec"]["backend"]["target"] + "/serve").read()
    first = time.time() if served else None
    launch = {{"guidellm": "0.8.1", "patched": True, "why": "", "first_request": first}}
    Path("launch.json").write_text(json.dumps(launch))
    print("the load begins" if served else "nothing yet", file=sys.stderr, flush=True)
    if not mode.endswith("once") or number == 1:
        time.sleep(600)
if mode == "hang":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
if mode == "slow":
    time.sleep(600)
while mode == "wait" and not (home / "go-on").exists():
    time.sleep(0.1)
if mode == "crash":
    print("Traceback", file=sys.stderr)
    print("RuntimeError: Backend validation request failed", file=sys.stderr)
    sys.exit(1)
if mode == "silent":
    sys.exit(0)
if mode == "slow, with a worker":
    # As on a busy machine: longer than its load and the silence of a test.
    time.sleep(2.5)
if mode.endswith("a worker"):
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (home / "worker").write_text(str(worker.pid))
report = json.loads((home / "report.json").read_text())
if mode == "errors":
    report = json.loads((home / "errors.json").read_text())
strategies = home / "strategies.json"
if strategies.exists() and profile["kind"] in json.loads(strategies.read_text()):
    # As GuideLLM's own sweep and searches: a benchmark for each load.
    (one,) = report["benchmarks"]
    now = time.time()
    report["benchmarks"] = [
        {{**one, "config": {{"strategy": load}}, "duration": 4 - i, "start_time": now - 2 + i,
         "end_time": now + 2}}
        for i, load in enumerate(json.loads(strategies.read_text())[profile["kind"]])
    ]
    report["conclusions"] = [{{"best_passing_streams": 8, "stop_reason": "converged"}}]
if mode == "garbage":
    Path("report.json").write_text("{{\\"metadata\\": ")
    sys.exit(0)
Path("report.json").write_text(json.dumps(report))
Path("report.html").write_text("<html></html>")
"""


def population(value: float, count: int) -> dict[str, Any]:
    """One population of a distribution; all zeros over nothing, as GuideLLM has it."""
    if count == 0:
        value = 0.0
    return {
        "mean": value,
        "median": value,
        "count": count,
        "percentiles": {"p50": value, "p95": value, "p99": value},
    }


def distribution(value: float, count: int, total: float | None = None) -> dict[str, Any]:
    """A distribution with ``count`` successful samples and the same in total."""
    return {
        "successful": population(value, count),
        "errored": population(0.0, 0),
        "incomplete": population(0.0, 0),
        "total": population(value if total is None else total, count),
    }


def report(
    completed: int = 46,
    errored: int = 0,
    incomplete: int = 4,
    duration: float = 5.0,
    rate: float = 2.0,
    **changes: Any,
) -> dict[str, Any]:
    """A report of GuideLLM 0.8.1 with one benchmark, as far as anybody reads it."""
    metrics = {
        "request_totals": {
            "successful": completed,
            "errored": errored,
            "incomplete": incomplete,
            "total": completed + errored + incomplete,
        },
        "requests_per_second": distribution(rate, completed),
        "time_to_first_token_ms": distribution(63.0, completed),
        "inter_token_latency_ms": distribution(5.25, completed),
        "prompt_token_count": distribution(147.0, completed),
        "output_token_count": distribution(32.0, completed),
        "tokens_per_second": distribution(2097.0, completed, total=2621.0),
        "output_tokens_per_second": distribution(700.0, completed),
        "image": {"pixels": {"input": None}},
    }
    metrics.update(changes)
    return {
        "metadata": {"version": 2, "guidellm_version": "0.8.1"},
        "config": {},
        "benchmarks": [
            {
                "metrics": metrics,
                "duration": duration,
                "scheduler_state": {"end_queuing_constraints": {"requests_exhausted": {}}},
                "warnings": [{"code": "generation_delay_ttft", "message": "mean delay was 1%"}],
                "requests": {
                    "successful": [],
                    "errored": [{"info": {"error": "500 Internal\nServer Error"}}] * bool(errored),
                    "incomplete": [],
                },
            }
        ],
    }


def fake_guidellm(folder: Path) -> Path:
    """An executable that behaves as ``modes.json`` beside it says; see :func:`set_modes`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "guidellm"
    program.write_text(FAKE_GUIDELLM.format(python=sys.executable))
    program.chmod(0o755)
    (folder / "report.json").write_text(json.dumps(report()))
    (folder / "errors.json").write_text(json.dumps(report(completed=20, errored=528)))
    set_modes(program)
    return program


def set_modes(program: Path, **modes: str) -> None:
    """How the fake behaves for each profile: ok, errors, hang, crash, silent, garbage …"""
    (program.parent / "modes.json").write_text(json.dumps(modes))


def set_strategies(program: Path, **strategies: list[dict[str, Any]]) -> None:
    """The benchmarks that the fake's report has for each profile."""
    (program.parent / "strategies.json").write_text(json.dumps(strategies))


def calls(program: Path) -> list[dict[str, Any]]:
    """Every call of the fake so far."""
    path = program.parent / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def profiles(program: Path) -> list[str]:
    """Profile of every call of the fake so far."""
    return [call["profile"]["kind"] for call in calls(program)]


class FakeEngine:
    """Serves what a benchmark asks the engine besides completions."""

    def __init__(self) -> None:
        self.model = MODEL
        self.tokens = 0.0
        self.step = 100.0
        self.has_metrics = True
        # By default every look at the counters finds them grown; quiet, only /serve makes them.
        self.is_quiet = False
        self.running = 0
        # Further lines of its /metrics.
        self.extra = ""
        # Completions that were asked for, and whether they are answered.
        self.completions = 0
        self.completes = True
        self.chats = True
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = engine.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write((body or "").encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                engine.completions += 1
                answers = engine.completes and (engine.chats or "chat" not in self.path)
                self.send_response(200 if answers else 500)
                self.end_headers()
                self.wfile.write(b'{"choices": [{"text": "!"}], "usage": {"prompt_tokens": 20}}')

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def answer(self, path: str) -> str | None:
        if path == "/v1/models":
            return json.dumps({"data": [{"id": self.model, "max_model_len": 4096}]})
        if path == "/version":
            return json.dumps({"version": "0.20.1+fake"})
        if path == "/v1/serve":
            self.tokens += self.step
            return ""
        if path == "/metrics" and self.has_metrics:
            self.tokens += 0.0 if self.is_quiet else self.step
            return (
                "# TYPE vllm:generation_tokens counter\n"
                f'vllm:generation_tokens_total{{engine="0",model_name="toy"}} {self.tokens}\n'
                'vllm:kv_cache_usage_perc{engine="0",model_name="toy"} 0.21\n'
                f'vllm:num_requests_running{{engine="0",model_name="toy"}} {self.running}\n'
                f'vllm:num_requests_waiting{{engine="0",model_name="toy"}} 0\n{self.extra}'
            )
        return None

    @contextmanager
    def serving(self) -> Iterator[FakeEngine]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def scenario(stages: Sequence[dict[str, Any]], **changes: Any) -> Scenario:
    """A scenario of half-second points."""
    values = {
        "name": "quick",
        "data": {"kind": "synthetic_text", "prompt_tokens": 8, "output_tokens": 4},
        "stages": list(stages),
        "max_seconds": 1.0,
        "overhead_seconds": 20.0,
        **changes,
    }
    return Scenario.model_validate(values)


def job(folder: Path, program: Path, engine: FakeEngine, wanted: Scenario) -> Job:
    """A job whose runs are below ``folder`` and whose GuideLLM is ``program``."""
    settings = load_settings({"model.name": MODEL, "vllm.port": engine.port})
    made = make_job(RUN, "mi300x-1", wanted, settings)
    return replace(
        made, runs_folder=str(folder), record=replace(made.record, guidellm_python=str(program))
    )


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        # The latter when it goes while its file is open.
        return True


def kill_group(pid: int) -> None:
    """End a process and all that it started; fine when it has ended."""
    try:
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def attempt_record(**changes: Any) -> AttemptRecord:
    """An attempt that went well."""
    values: dict[str, Any] = {
        "number": 1,
        "seed": 42,
        "verdict": "ended",
        "why": None,
        "started": 0.0,
        "ended": 18.0,
        "seconds": 18.0,
        "start_seconds": 7.0,
        "limit_seconds": 183.0,
        "exit_code": 0,
        "last_line": None,
        "stacks": None,
        "engine": None,
        "launcher": None,
    }
    return AttemptRecord(**{**values, **changes})


def point_record(point: Point, **changes: Any) -> PointRecord:
    """A valid point without figures."""
    values: dict[str, Any] = {
        "label": point.label,
        "outcome": "valid",
        "reasons": (),
        "figures": None,
        "exit_code": 0,
        "engine": {},
        "started": 0.0,
        "wall_seconds": 18.0,
    }
    return PointRecord(point=point, **{**values, **changes})
