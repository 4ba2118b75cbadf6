"""Benchmarks that meet trouble on real systems: full disks, two at once, flipped bytes, no power.

GuideLLM and the engine are stand-ins, as in ``tests/lab/test_bench_on_droplets.py``.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bench_droplets
import lab_host
import pytest
from bench_droplets import (
    PLACE,
    START_ENGINE,
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

pytestmark = [pytest.mark.soak, pytest.mark.lab]

RUNS = "/var/lib/rocminfra/runs"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def droplet() -> Iterator[LabHost]:
    (host,) = bench_droplets.up("faults")
    yield host
    lab_host.down(host.name)


@pytest.fixture
def bench_host(droplet: LabHost) -> LabHost:
    """The droplet, on which GuideLLM's stand-in does as it should and was never called."""
    set_modes(droplet)
    droplet.ok(f"rm -f {PLACE}/bin/calls {PLACE}/bin/go-on")
    return droplet


@pytest.fixture
def benchmark(tmp_path: Path) -> Start:
    return bench_droplets.starter(tmp_path)


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of its own on this machine; a folder below it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder / "results"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_run_is_listed_watched_stopped_and_brought_back(
    bench_host: LabHost, benchmark: Start, tmp_path: Path
) -> None:
    set_modes(bench_host, synchronous="wait")
    process = benchmark(bench_host)
    wait_until(lambda: "synchronous" in profiles(bench_host))
    process.kill()
    name = run_id(ended(process))
    listed = json.loads(rocminfra(bench_host, "bench", "list", "--json").out)
    (first, *_) = listed["hosts"][0]["runs"]
    assert (first["run"], first["state"], first["valid"]) == (name, "running", 1)

    shown = rocminfra(bench_host, "bench", "status")
    assert shown.code == 0, shown.err
    assert "point 2 of 3, synchronous:" in shown.out
    status = json.loads(rocminfra(bench_host, "bench", "status", name, "--json").out)
    live = status["hosts"][0]["status"]["live"]
    assert (live["number"], live["planned"], live["label"]) == (2, 3, "synchronous")

    refused = rocminfra(bench_host, "bench", "collect")
    assert refused.code == 9, refused.err
    assert f"run {name} still runs on this host" in refused.err
    assert (
        f"rocminfra bench attach -i inventory/lab.py --limit {bench_host.name} {name}"
        in refused.err
    )

    stopped = rocminfra(bench_host, "bench", "stop")
    assert stopped.code == 0, stopped.err
    assert running(bench_host) == []
    results = ("--data", f"bench.results_dir={tmp_path}/results")
    brought = rocminfra(bench_host, "bench", "collect", name, *results)
    assert brought.code == 8, brought.err
    assert "the run stopped before its end" in brought.err
    assert "concurrent@4" in brought.out
    folder = only_run(tmp_path)
    assert verify(folder) == (f"{bench_host.name} is incomplete: the run stopped before its end",)

    set_modes(bench_host)
    resumed = benchmark(bench_host, run=name)
    said = ended(resumed)
    assert resumed.returncode == 0, said
    # Neither the point that was valid ran again, nor did its files come again.
    assert profiles(bench_host) == ["concurrent", "synchronous", "synchronous", "throughput"]
    assert verify(folder) == ()


def test_of_two_runs_that_begin_at_once_one_is_refused(
    bench_host: LabHost, benchmark: Start, tmp_path: Path
) -> None:
    processes = [benchmark(bench_host) for _ in range(2)]
    outputs = [ended(process) for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 1], outputs
    refused = outputs[codes.index(1)]
    measured = only_run(tmp_path).name
    assert f"benchmark {measured} runs on this host" in refused, refused
    assert profiles(bench_host) == ["concurrent", "synchronous", "throughput"]
    assert verify(only_run(tmp_path)) == ()


def test_a_disk_that_fills_up_here_is_called_so_and_the_rest_comes_later(
    bench_host: LabHost, benchmark: Start, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 100) as results:
        set_modes(bench_host, synchronous="wait")
        process = benchmark(bench_host, results=results)
        wait_until(lambda: "synchronous" in profiles(bench_host))
        filling = ["dd", "if=/dev/zero", f"of={results.parent}/filling", "bs=1M"]
        subprocess.run(filling, check=False, capture_output=True)
        bench_host.ok(f"touch {PLACE}/bin/go-on")
        said = ended(process)
        bench_host.ok(f"rm {PLACE}/bin/go-on")
        assert process.returncode == 1
        assert "disk full here: the results of run" in said
        assert "the connection was lost" not in said
        name = run_id(said)
        assert not (results / name).exists()

        (results.parent / "filling").unlink()
        brought = rocminfra(
            bench_host, "bench", "collect", "--data", f"bench.results_dir={results}"
        )
        assert brought.code == 0, brought.err
        assert verify(results / name) == ()
    assert profiles(bench_host) == ["concurrent", "synchronous", "throughput"], "no point ran twice"


def test_a_disk_that_fills_up_on_the_host_loses_no_finished_point(
    bench_host: LabHost, benchmark: Start, tmp_path: Path
) -> None:
    bench_host.ok(f"mkdir -p {RUNS} && mount -t tmpfs -o size=100m tmpfs {RUNS}")
    try:
        set_modes(bench_host, synchronous="wait")
        process = benchmark(bench_host)
        wait_until(lambda: "synchronous" in profiles(bench_host))
        bench_host.ssh(f"dd if=/dev/zero of={RUNS}/filling bs=1M; touch {PLACE}/bin/go-on")
        said = ended(process)
        bench_host.ok(f"rm {PLACE}/bin/go-on")
        assert process.returncode == 1, said
        wait_until(lambda: running(bench_host) == [])
        folder = only_run(tmp_path)
        assert (folder / bench_host.name / "01-concurrent-4" / "point.json").exists(), said
        assert verify(folder) != ()

        bench_host.ok(f"rm {RUNS}/filling")
        set_modes(bench_host)
        resumed = benchmark(bench_host, run=folder.name)
        said = ended(resumed)
        assert resumed.returncode == 0, said
        assert profiles(bench_host).count("concurrent") == 1, "a finished point ran again"
        assert verify(folder) == ()
    finally:
        bench_host.ok(f"umount {RUNS}")


def test_a_byte_that_flips_on_the_host_is_found(
    bench_host: LabHost, benchmark: Start, tmp_path: Path
) -> None:
    set_modes(bench_host, throughput="wait")
    process = benchmark(bench_host)
    wait_until(lambda: "throughput" in profiles(bench_host))
    process.kill()
    name = run_id(ended(process))
    bench_host.ok(f"touch {PLACE}/bin/go-on")
    wait_until(lambda: running(bench_host) == [])
    bench_host.ok(f"rm {PLACE}/bin/go-on")
    report = f"{RUNS}/{name}/01-concurrent-4/report.json"
    flip = "import sys; f=open(sys.argv[1],'r+b'); c=f.read(1); f.seek(0); f.write(bytes([c[0]^1]))"
    bench_host.ok(f'python3 -c "{flip}" {report}')
    results = ("--data", f"bench.results_dir={tmp_path}/results")
    brought = rocminfra(bench_host, "bench", "collect", name, *results)
    assert brought.code == 8, brought.err
    assert "01-concurrent-4/report.json: SHA-256 is" in brought.err
    folder = only_run(tmp_path)
    assert not (folder / bench_host.name / "01-concurrent-4" / "report.json").exists()
    assert any("is incomplete" in problem for problem in verify(folder))

    bench_host.ok(f'python3 -c "{flip}" {report}')
    again = rocminfra(bench_host, "bench", "collect", name, *results)
    assert again.code == 0, again.err
    assert verify(folder) == ()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("systemctl stop stand-in-engine", "no engine is installed on this host"),
        ("systemctl kill --signal=STOP stand-in-engine", "the engine hangs"),
    ],
    ids=["dies", "hangs"],
)
def test_an_engine_that_goes_away_fails_its_points_and_only_those(
    bench_host: LabHost, benchmark: Start, tmp_path: Path, made: str, words: str
) -> None:
    set_modes(bench_host, synchronous="wait")
    process = benchmark(bench_host)
    wait_until(lambda: "synchronous" in profiles(bench_host))
    bench_host.ok(f"{made}; touch {PLACE}/bin/go-on")
    began = time.monotonic()
    said = ended(process)
    bench_host.ok(f"rm {PLACE}/bin/go-on")
    assert time.monotonic() - began < 60
    assert process.returncode == 1
    assert "throughput is failed: the engine at http://127.0.0.1:8000/v1 does not answer" in said
    folder = only_run(tmp_path)
    assert verify(folder) == (), "a failed point is a result too"
    refused = benchmark(bench_host, run=folder.name)
    assert words in ended(refused)
    assert refused.returncode == 1
    bench_host.ok(
        "systemctl kill --signal=CONT stand-in-engine; systemctl is-active stand-in-engine || "
        f"{START_ENGINE}; sleep 1"
    )
    set_modes(bench_host)
    resumed = benchmark(bench_host, run=folder.name)
    said = ended(resumed)
    assert resumed.returncode == 0, said
    assert profiles(bench_host).count("concurrent") == 1, "a finished point ran again"
    assert verify(folder) == ()


@pytest.fixture
def runs_disk(bench_host: LabHost) -> Iterator[str]:
    """The command that mounts a file system for runs alone, which is mounted."""
    mount = f"mkdir -p {RUNS} && mount /dev/vdc {RUNS}"
    bench_host.ok(f"mkfs.ext4 -q -F /dev/vdc 1G && {mount}")
    yield mount
    bench_host.ssh(f"umount {RUNS}")


def test_a_droplet_that_loses_its_power_keeps_its_finished_points(
    bench_host: LabHost, runs_disk: str, benchmark: Start, tmp_path: Path
) -> None:
    set_modes(bench_host, synchronous="wait")
    process = benchmark(bench_host)
    wait_until(lambda: "synchronous" in profiles(bench_host))
    (service,) = (unit for unit in running(bench_host) if unit.endswith(".service"))
    name = run_id(service)
    files = "find 01-concurrent-4 -type f"
    times = f"{files} -printf '%p %C@\\n'"
    look = f"cd {RUNS}/{name} && ({times}; {files} -exec sha256sum {{}} +) | sort"
    finished = bench_host.ok(look)
    job = bench_host.ok(f"cat {RUNS}/{name}/job.json")
    lab_host.hard_reset(bench_host, [RUNS])
    said = ended(process)
    assert process.returncode == 1, said
    assert "the connection was lost" in said
    assert f"bench.run={name}" in said.strip().splitlines()[-1]
    bench_host.ok(runs_disk)
    assert running(bench_host) == []
    assert bench_host.ok(look) == finished
    assert bench_host.ok(f"cat {RUNS}/{name}/job.json") == job
    records = bench_host.ok(f"cd {RUNS}/{name} && ls *.json MANIFEST* */point.json || true")
    assert records.split() == ["01-concurrent-4/point.json", "job.json", "status.json"]

    listed = json.loads(rocminfra(bench_host, "bench", "list", "--json").out)
    (first, *_) = listed["hosts"][0]["runs"]
    assert (first["run"], first["state"], first["valid"]) == (name, "died", 1)
    results = ("--data", f"bench.results_dir={tmp_path}/results")
    brought = rocminfra(bench_host, "bench", "collect", name, *results)
    assert brought.code == 8, brought.err
    assert "the run died before its end" in brought.err
    folder = only_run(tmp_path)
    assert verify(folder) == (f"{bench_host.name} is incomplete: the run died before its end",)

    refused = benchmark(bench_host, run=name)
    assert "no engine is installed on this host" in ended(refused)
    assert refused.returncode == 1
    bench_host.ok(f"{START_ENGINE}; sleep 1")
    set_modes(bench_host)
    resumed = benchmark(bench_host, run=name)
    said = ended(resumed)
    assert resumed.returncode == 0, said
    assert profiles(bench_host) == ["concurrent", "synchronous", "synchronous", "throughput"]
    assert bench_host.ok(look) == finished
    assert verify(folder) == ()
