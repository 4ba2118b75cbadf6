"""Benchmarks on real systems: systemd scopes, SSH that breaks, sudo, several hosts at once.

GuideLLM and the engine are stand-ins here, so that each way to fail takes seconds; `make demo` runs
the real ones.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lab_host
import pytest
import yaml
from bench_fakes import FAKE_GUIDELLM, report
from deploys import rocminfra
from lab_host import LabHost

from rocminfra.bench.results import verify

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
PYINFRA = (sys.executable, "-m", "pyinfra", "-y")
PLACE = "/opt/rocminfra/guidellm-0.8.1"
MODEL = "Qwen/Qwen2-VL-72B-Instruct"
PATIENCE_S = 60.0

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


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[LabHost, LabHost]]:
    first, second = lab_host.up(["bench-a", "bench-b"])
    for host in (first, second):
        put(host, "/opt/engine.py", ENGINE)
        put_engine(host)
        host.ok("systemd-run --quiet --unit=stand-in-engine python3 /opt/engine.py")
        put(host, f"{PLACE}/bin/python", FAKE_GUIDELLM.format(python="/usr/bin/python3"))
        put(host, f"{PLACE}/bin/report.json", json.dumps(report()))
        put(host, f"{PLACE}/.complete", "guidellm[vision]==0.8.1 torch==2.13.0\n")
        host.ok(f"chmod 0755 {PLACE}/bin/python")
    yield first, second
    for host in (first, second):
        lab_host.down(host.name)


@pytest.fixture
def host(hosts: tuple[LabHost, LabHost]) -> LabHost:
    set_modes(hosts[0])
    hosts[0].ok(f"rm -f {PLACE}/bin/calls")
    return hosts[0]


@dataclass(frozen=True)
class Obstacle:
    """What keeps a benchmark from beginning, and what is said of it.

    + made, undone: commands on the host
    + options: of ``rocminfra bench``
    """

    code: int
    words: str
    following: str
    made: str = "true"
    undone: str = "true"
    options: tuple[str, ...] = ()


LONG = "data: {kind: synthetic_text, prompt_tokens: 16000, output_tokens: 500}"
LOCAL = "data: {kind: parquet_file, path: /mnt/models/none.parquet}"
STAGES = "stages: [{profile: synchronous}]\nmax_seconds: 1"
ENGINE_JSON = json.dumps({"model": MODEL, "running": 0})
OBSTACLES = {
    "never applied": Obstacle(
        7,
        "no engine is installed on this host",
        "rocminfra apply",
        "systemctl stop stand-in-engine",
        "systemd-run --quiet --unit=stand-in-engine python3 /opt/engine.py; sleep 1",
    ),
    "hung": Obstacle(
        7,
        "the engine hangs: it accepts requests and answers none",
        "systemctl restart vllm.service",
        "systemctl kill --signal=STOP stand-in-engine",
        "systemctl kill --signal=CONT stand-in-engine",
    ),
    "another model": Obstacle(
        7,
        f"the engine serves toy, not {MODEL}",
        "rocminfra apply",
        "sed -i s,Qwen/.*Instruct,toy, /opt/engine.json",
        f"echo '{ENGINE_JSON}' >/opt/engine.json",
    ),
    "somebody's requests": Obstacle(
        7,
        "somebody else's requests keep the engine busy: 3 running, 0 waiting",
        "rocminfra bench",
        'sed -i \'s,"running": 0,"running": 3,\' /opt/engine.json',
        f"echo '{ENGINE_JSON}' >/opt/engine.json",
    ),
    "prompts too long": Obstacle(
        3,
        "16,500 tokens, and the engine takes at most 16,384",
        "rocminfra apply",
        options=("--scenario", f"{LONG}\n{STAGES}"),
    ),
    "data that is not there": Obstacle(
        3,
        "data of this scenario is not on the host",
        "rocminfra bench",
        options=("--scenario", f"{LOCAL}\n{STAGES}"),
    ),
    "results that cannot be written": Obstacle(
        3,
        "results cannot be written to /proc/results",
        "--data bench.results_dir=FOLDER",
        options=("--data", "bench.results_dir=/proc/results"),
    ),
    "a full disk": Obstacle(
        6,
        "disk full on the host: /var/lib/rocminfra/runs has",
        "rocminfra bench",
        "mkdir -p /var/lib/rocminfra/runs && "
        "mount -t tmpfs -o size=4m tmpfs /var/lib/rocminfra/runs",
        "umount /var/lib/rocminfra/runs",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_cannot_succeed_is_refused_before_anything_is_installed(
    host: LabHost, tmp_path: Path, name: str
) -> None:
    obstacle = OBSTACLES[name]
    options = []
    for option in obstacle.options:
        if "\n" in option:
            (tmp_path / "scenario.yaml").write_text(option)
            option = str(tmp_path / "scenario.yaml")
        options.append(option)
    look = "find /opt/rocminfra /usr/local/lib/rocminfra /var/lib/rocminfra | sort"
    host.ok(f"({obstacle.made}) >&2")
    try:
        before = host.ssh(look).stdout
        began = time.monotonic()
        run = rocminfra(host, "bench", *options)
        seconds = time.monotonic() - began
        assert host.ssh(look).stdout == before
    finally:
        host.ok(f"({obstacle.undone}) >&2")
    assert run.code == obstacle.code, run.err
    assert obstacle.words in run.err
    last = run.err.strip().splitlines()[-1]
    assert last.startswith("next: ")
    assert obstacle.following in last
    # Nothing like the two minutes of an installation, also on a busy machine.
    assert seconds < 40
    assert profiles(host) == []


@pytest.fixture
def benchmark(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``tasks/benchmark.py`` with plain pyinfra."""
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

    def start(*hosts: LabHost, run: str | None = None, user: str = "root") -> subprocess.Popen[str]:
        data = {"bench.scenario": scenario, "bench.results_dir": tmp_path / "results"}
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


def test_two_hosts_share_a_run_and_a_sudo_user_may_do_it(
    hosts: tuple[LabHost, LabHost], host: LabHost, benchmark: Callable[..., object], tmp_path: Path
) -> None:
    set_modes(hosts[1])
    output = ended(benchmark(*hosts, user="ops"))  # type: ignore[arg-type]
    folder = only_run(tmp_path)
    assert folder.name == run_id(output)
    assert {path.name for path in folder.iterdir()} == {
        *("MANIFEST.sha256", hosts[0].name, hosts[1].name)
    }
    assert verify(folder) == ()
    assert f"results: {folder}/{hosts[1].name}" in output
    assert "vLLM 0.20.1+stand-in on 1 × MI300X simulated" in output
    assert [running(host) for host in hosts] == [[], []]


def test_a_benchmark_that_is_killed_on_the_host_leaves_no_process_and_is_resumed(
    host: LabHost, benchmark: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    set_modes(host, synchronous="hang")
    process = benchmark(host)
    wait_until(lambda: "synchronous" in profiles(host))
    assert len(running(host)) >= 3, "the service, the point's scope and its process"
    host.ok("systemctl kill --signal=KILL --kill-who=main 'rocminfra-bench-*.service'")
    output = ended(process)
    assert process.returncode == 1
    wait_until(lambda: running(host) == [])
    folder = only_run(tmp_path)
    assert "the run died before its end" in output
    assert f"bench.run={folder.name}" in output.strip().splitlines()[-1]
    assert verify(folder) == (f"{host.name} is incomplete: the run died before its end",)

    set_modes(host)
    resumed = benchmark(host, run=folder.name)
    ended(resumed)
    assert resumed.returncode == 0
    assert profiles(host) == ["concurrent", "synchronous", "synchronous", "throughput"]
    assert verify(folder) == ()


@pytest.mark.parametrize("cut", ["the operator's process", "the connection"])
def test_a_lost_operator_loses_nothing(
    host: LabHost, benchmark: Callable[..., subprocess.Popen[str]], tmp_path: Path, cut: str
) -> None:
    set_modes(host, synchronous="wait")
    process = benchmark(host)
    wait_until(lambda: "synchronous" in profiles(host))
    if cut == "the connection":
        # Everything of a session but the listening daemon; this command's own session too.
        host.ssh("pkill --full '^sshd: root'")
        output = ended(process)
        assert process.returncode == 1
        assert "the connection was lost" in output
        assert f"bench.run={run_id(output)}" in output.strip().splitlines()[-1]
    else:
        process.kill()
        output = ended(process)
    assert not (tmp_path / "results").exists()

    other = benchmark(host)
    refused = ended(other)
    assert other.returncode == 1
    assert f"benchmark {run_id(output)} runs on this host" in refused

    attached = benchmark(host, run=run_id(output))
    wait_until(lambda: bool(running(host)))
    host.ok(f"touch {PLACE}/bin/go-on")
    said = ended(attached)
    host.ok(f"rm {PLACE}/bin/go-on")
    assert attached.returncode == 0, said
    assert "attached" in said
    assert profiles(host) == ["concurrent", "synchronous", "throughput"], "no point ran twice"
    assert verify(only_run(tmp_path)) == ()
