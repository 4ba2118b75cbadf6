"""Benchmarks on real systems: systemd scopes, SSH that breaks, sudo, several hosts at once.

GuideLLM and the engine are stand-ins here, so that each way to fail takes seconds; `make demo` runs
the real ones.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench_droplets import (
    MODEL,
    PLACE,
    ended,
    only_run,
    profiles,
    run_id,
    running,
    set_modes,
    wait_until,
)
from deploys import rocminfra
from lab_host import LabHost

from rocminfra.bench.results import verify

pytestmark = pytest.mark.lab


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
    "wheels that are not there": Obstacle(
        6,
        "there is no such folder on the host",
        "rocminfra bench",
        f"mv {PLACE}/.complete {PLACE}/.aside",
        f"mv {PLACE}/.aside {PLACE}/.complete",
        options=("--data", "bench.wheels=/srv/wheels"),
    ),
    "wheels of another Python": Obstacle(
        6,
        "torch-2.13.0-cp38-cp38-manylinux_2_17_x86_64.whl is for another Python or machine",
        "rocminfra bench",
        f"mv {PLACE}/.complete {PLACE}/.aside && mkdir -p /srv/wheels && "
        "touch /srv/wheels/torch-2.13.0-cp38-cp38-manylinux_2_17_x86_64.whl",
        f"rm -r /srv/wheels; mv {PLACE}/.aside {PLACE}/.complete",
        options=("--data", "bench.wheels=/srv/wheels"),
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
    bench_host: LabHost, tmp_path: Path, name: str
) -> None:
    obstacle = OBSTACLES[name]
    options = []
    for option in obstacle.options:
        if "\n" in option:
            (tmp_path / "scenario.yaml").write_text(option)
            option = str(tmp_path / "scenario.yaml")
        options.append(option)
    look = "find /opt/rocminfra /usr/local/lib/rocminfra /var/lib/rocminfra | sort"
    bench_host.ok(f"({obstacle.made}) >&2")
    try:
        before = bench_host.ssh(look).stdout
        began = time.monotonic()
        run = rocminfra(bench_host, "bench", *options)
        seconds = time.monotonic() - began
        assert bench_host.ssh(look).stdout == before
    finally:
        bench_host.ok(f"({obstacle.undone}) >&2")
    assert run.code == obstacle.code, run.err
    assert obstacle.words in run.err
    last = run.err.strip().splitlines()[-1]
    assert last.startswith("next: ")
    assert obstacle.following in last
    # Nothing like the two minutes of an installation, also on a busy machine.
    assert seconds < 40
    assert profiles(bench_host) == []


def test_two_hosts_share_a_run_and_a_sudo_user_may_do_it(
    bench_hosts: tuple[LabHost, ...],
    bench_host: LabHost,
    benchmark: Callable[..., object],
    tmp_path: Path,
) -> None:
    set_modes(bench_hosts[1])
    output = ended(benchmark(*bench_hosts, user="ops"))  # type: ignore[arg-type]
    folder = only_run(tmp_path)
    assert folder.name == run_id(output)
    assert {path.name for path in folder.iterdir()} == {
        *("MANIFEST.sha256", bench_hosts[0].name, bench_hosts[1].name)
    }
    assert verify(folder) == ()
    assert f"results: {folder}/{bench_hosts[1].name}" in output
    assert "vLLM 0.20.1+stand-in on 1 × MI300X simulated" in output
    assert [running(host) for host in bench_hosts] == [[], []]


def test_a_benchmark_that_is_killed_on_the_host_leaves_no_process_and_is_resumed(
    bench_host: LabHost, benchmark: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    set_modes(bench_host, synchronous="hang")
    process = benchmark(bench_host)
    wait_until(lambda: "synchronous" in profiles(bench_host))
    assert len(running(bench_host)) >= 3, "the service, the point's scope and its process"
    bench_host.ok("systemctl kill --signal=KILL --kill-who=main 'rocminfra-bench-*.service'")
    output = ended(process)
    assert process.returncode == 1
    wait_until(lambda: running(bench_host) == [])
    folder = only_run(tmp_path)
    assert "the run died before its end" in output
    assert f"bench.run={folder.name}" in output.strip().splitlines()[-1]
    assert verify(folder) == (f"{bench_host.name} is incomplete: the run died before its end",)

    set_modes(bench_host)
    resumed = benchmark(bench_host, run=folder.name)
    ended(resumed)
    assert resumed.returncode == 0
    assert profiles(bench_host) == ["concurrent", "synchronous", "synchronous", "throughput"]
    assert verify(folder) == ()


@pytest.mark.parametrize("cut", ["the operator's process", "the connection"])
def test_a_lost_operator_loses_nothing(
    bench_host: LabHost, benchmark: Callable[..., subprocess.Popen[str]], tmp_path: Path, cut: str
) -> None:
    set_modes(bench_host, synchronous="wait")
    process = benchmark(bench_host)
    wait_until(lambda: "synchronous" in profiles(bench_host))
    if cut == "the connection":
        # Everything of a session but the listening daemon; this command's own session too.
        bench_host.ssh("pkill --full '^sshd: root'")
        output = ended(process)
        assert process.returncode == 1
        assert "the connection was lost" in output
        assert f"bench.run={run_id(output)}" in output.strip().splitlines()[-1]
    else:
        process.kill()
        output = ended(process)
    assert not (tmp_path / "results").exists()

    other = benchmark(bench_host)
    refused = ended(other)
    assert other.returncode == 1
    assert f"benchmark {run_id(output)} runs on this host" in refused

    attached = benchmark(bench_host, run=run_id(output))
    wait_until(lambda: bool(running(bench_host)))
    bench_host.ok(f"touch {PLACE}/bin/go-on")
    said = ended(attached)
    bench_host.ok(f"rm {PLACE}/bin/go-on")
    assert attached.returncode == 0, said
    assert "attached" in said
    assert profiles(bench_host) == ["concurrent", "synchronous", "throughput"], "no point ran twice"
    assert verify(only_run(tmp_path)) == ()
