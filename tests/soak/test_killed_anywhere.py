"""A deploy that is killed in every operation, by every signal: the next one reaches the same end.

Each on a droplet that has just booted, so that the operation has all of its work to do.
"""

from __future__ import annotations

from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import lab_host
import pytest
from deploys import pyinfra, rocminfra
from kill_matrix import Kill, killed, left, reaches_the_end, waits_for_nobody
from lab_host import LabHost

pytestmark = [pytest.mark.soak, pytest.mark.lab]

# Signal, and seconds into the operation: as it begins, and while the host is at work.
ENDS = ((SIGKILL, 0.0), (SIGKILL, 1.0), (SIGTERM, 0.3), (SIGINT, 0.3))
STARTED_AT = "docker inspect -f '{{.State.StartedAt}}' vllm-qwen2-vl-72b"
IMAGE = "docker inspect -f '{{.Image}}' vllm-qwen2-vl-72b"
BENCHMARK = ("pyinfra", "-y", "inventory/lab.py", "tasks/benchmark.py")
SAME = (
    "cat /etc/fstab /etc/docker/daemon.json /etc/systemd/system/vllm.service; "
    "find /etc/rocminfra /usr/local/lib/rocminfra /etc/systemd -type f "
    "-not -name vllm.service | sort | xargs sha256sum"
)


def fresh() -> LabHost:
    (host,) = lab_host.up(["matrix"])
    host.ssh("systemctl is-system-running --wait")
    return host


def end_of(host: LabHost) -> list[str]:
    """What every run has to end with, a line each.

    Each droplet builds its image, so its id is another one, and the hash of all settings with it.
    """
    said = host.ok(SAME).replace(host.ok(IMAGE).strip(), "IMAGE")
    return [line for line in said.splitlines() if "--label=rocminfra.config=" not in line]


@pytest.fixture(scope="module")
def reference() -> tuple[list[str], list[str]]:
    """Operations that change something on a fresh droplet, and the end that they reach."""
    host = fresh()
    try:
        run = pyinfra((host,), "-y", "deploy.py", "--json")
        assert run.code == 0, run.err
        return [name.partition(" | ")[2] for name in run.changed], end_of(host)
    finally:
        lab_host.down(host.name)


@pytest.mark.parametrize(("number", "after_s"), ENDS)
def test_killed_in_every_operation(
    reference: tuple[list[str], list[str]], number: Signals, after_s: float
) -> None:
    operations, end = reference
    assert len(operations) >= 13
    wrong = []
    for operation in operations:
        kill = Kill(operation, number, after_s)
        host = fresh()
        try:
            before = left(host)
            killed(host, kill)
            waits_for_nobody(host, before)
            reaches_the_end(host)
            assert end_of(host) == end
        except AssertionError as error:
            # The other operations have their turn all the same.
            wrong.append(f"{kill.slug}: {error}")
        finally:
            lab_host.down(host.name)
    assert not wrong, "\n\n".join(wrong)


def test_killed_in_the_benchmark_it_is_finished_by_whoever_asks_next(tmp_path: Path) -> None:
    host = fresh()
    try:
        reaches_the_end(host)
        before = left(host)
        started_at = host.ok(STARTED_AT)
        data = ("--data", "bench.scenario=smoke", "--data", f"bench.results_dir={tmp_path}")
        for operation, number, after_s in (
            ("Install GuideLLM", SIGKILL, 5.0),
            ("Install GuideLLM", SIGINT, 1.0),
            ("Run benchmark", SIGKILL, 10.0),
        ):
            killed(host, Kill(operation, number, after_s, (*BENCHMARK, *data)))
            assert waits_for_nobody(host, before).mounts == before.mounts
        attached = rocminfra(host, "bench", "attach", *data)
        # A point may be invalid on cores that are busy; whole it is in any case.
        assert attached.code in (0, 8), attached.err
        assert list(tmp_path.glob("*/MANIFEST.sha256"))
        assert left(host).units == before.units
        # The engine served on all the while.
        assert host.ok(STARTED_AT) == started_at
    finally:
        lab_host.down(host.name)
