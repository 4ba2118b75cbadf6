"""Practice droplets with stand-ins for the engine and GuideLLM: each way to fail takes seconds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import lab_host
import yaml
from bench_fakes import FAKE_GUIDELLM, report
from lab_host import LabHost

ROOT = Path(__file__).parents[2]
PYINFRA = (sys.executable, "-m", "pyinfra", "-y")
PLACE = "/opt/rocminfra/guidellm-0.8.1"
MODEL = "Qwen/Qwen2-VL-72B-Instruct"
PATIENCE_S = 120.0
START_ENGINE = "systemd-run --quiet --unit=stand-in-engine python3 /opt/engine.py"

ENGINE = textwrap.dedent(
    """
    import http.server, itertools, json
    tokens = itertools.count(0, 100)
    def metrics():
        running = json.load(open("/opt/engine.json"))["running"]
        return (f"vllm:generation_tokens_total {next(tokens)}\\n"
                f"vllm:num_requests_running {running}\\nvllm:num_requests_waiting 0\\n")
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, text):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())
        def do_GET(self):
            model = {"id": json.load(open("/opt/engine.json"))["model"], "max_model_len": 16384}
            self.answer({
                "/v1/models": lambda: json.dumps({"data": [model]}),
                "/version": lambda: json.dumps({"version": "0.20.1+stand-in"}),
                "/metrics": metrics,
            }[self.path]())
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(json.dumps({"choices": [{"text": "!"}]}))
        def log_message(self, *_): pass
    http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
    """
)


def up(*names: str) -> tuple[LabHost, ...]:
    """Droplets on which the stand-ins run."""
    hosts = lab_host.up(names)
    for host in hosts:
        put(host, "/opt/engine.py", ENGINE)
        put_engine(host)
        host.ok(START_ENGINE)
        put(host, f"{PLACE}/bin/python", FAKE_GUIDELLM.format(python="/usr/bin/python3"))
        put(host, f"{PLACE}/bin/report.json", json.dumps(report()))
        put(host, f"{PLACE}/.complete", "guidellm[vision]==0.8.1 torch==2.13.0\n")
        host.ok(f"chmod 0755 {PLACE}/bin/python")
    return hosts


def starter(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``tasks/benchmark.py`` with plain pyinfra; three points of a second."""
    scenario = tmp_path / "quick.yaml"
    scenario.write_text(
        yaml.safe_dump(
            {
                "data": {"kind": "synthetic_text", "prompt_tokens": 8, "output_tokens": 4},
                "stages": [
                    {"profile": "concurrent", "streams": [4]},
                    {"profile": "synchronous"},
                    {"profile": "throughput"},
                ],
                "max_seconds": 1,
                "overhead_seconds": 60,
            }
        )
    )

    def start(
        *hosts: LabHost,
        run: str | None = None,
        user: str = "root",
        results: Path | None = None,
        load: LabHost | None = None,
    ) -> subprocess.Popen[str]:
        folder = results or tmp_path / "results"
        data: dict[str, object] = {"bench.scenario": scenario, "bench.results_dir": folder}
        if load is not None:
            data["bench.load_generator"] = load.name
            hosts = (*hosts, load)
        arguments = [f"--data={key}={value}" for key, value in data.items()]
        arguments += [f"--data=bench.run={run}"] if run is not None else []
        arguments += [f"--limit={host.name}" for host in hosts]
        return subprocess.Popen(
            [*PYINFRA, "inventory/lab.py", "tasks/benchmark.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "ROCMINFRA_LAB_USER": user},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE_S)
    return output


def put(host: LabHost, path: str, text: str) -> None:
    target = host.ok(f"mkdir -p {Path(path).parent} && echo {path}").strip()
    subprocess.run(
        [*lab_host.keys.ssh_command(lab_host.PATHS, host.droplet, "root"), f"cat > {target}"],
        input=text,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )


def put_engine(host: LabHost, model: str = MODEL, running: int = 0) -> None:
    """What the stand-in says it serves and does."""
    put(host, "/opt/engine.json", json.dumps({"model": model, "running": running}))


def set_modes(host: LabHost, **modes: str) -> None:
    put(host, f"{PLACE}/bin/modes.json", json.dumps(modes))


def profiles(host: LabHost) -> list[str]:
    lines = host.ok(f"cat {PLACE}/bin/calls 2>/dev/null || true").splitlines()
    return [json.loads(line)["profile"]["kind"] for line in lines]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def running(host: LabHost) -> list[str]:
    """What of a benchmark runs on the host: units, and processes of the stand-in."""
    units = "systemctl list-units --plain --no-legend 'rocminfra-bench-*' | cut -d' ' -f1"
    return host.ok(f"{units}; pgrep --full {PLACE}/bin/[p]ython || true").split()


def run_id(output: str) -> str:
    match = re.search(r"\d{8}T\d{6}Z-[0-9a-f]{6}", output)
    assert match is not None, output
    return match[0]


def only_run(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "results").iterdir()
    return folder


def left(host: LabHost) -> str:
    """What a run keeps on its hosts while it lasts."""
    paths = "/run/rocminfra-bench /run/rocminfra-load* /var/lib/rocminfra/load"
    user = "getent passwd rocminfra-load || true; pgrep -u rocminfra-load || true"
    units = "systemctl list-units --all --plain --no-legend 'rocminfra-load*'"
    return host.ok(f"ls -d {paths} 2>/dev/null || true; {user} 2>/dev/null; {units}")
