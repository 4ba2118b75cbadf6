"""A droplet's whole life by the documented command: created, waited for, applied, measured,
collected, destroyed; the cloud is the stub, the machine is a practice droplet."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lab_host
import pytest
from droplet_cloud import TOKEN, StubCloud
from droplet_lab import LabMachines, hosts_file, key_pair
from droplet_stub import serving

from rocminfra.droplets.ledger import DESTROYED, Ledger
from rocminfra.droplets.offer import fingerprint

pytestmark = pytest.mark.lab

PYINFRA = (sys.executable, "-m", "pyinfra", "-y")
ROCMINFRA = (sys.executable, "-m", "rocminfra")


@dataclass
class Place:
    """A cloud, and an operator's folder with a key, a hosts file and nothing else."""

    stub: StubCloud
    machines: LabMachines
    folder: Path
    environ: dict[str, str]
    identity: Path

    def command(self, name: str, *words: str) -> list[str]:
        run = [*ROCMINFRA, "droplet", "run", "--yes", "--name", f"{lab_host.PREFIX}{name}"]
        limits = ["--max-usd", "1", "--max-hours", "0.5"]
        return [*run, "--identity", str(self.identity), *limits, "--", *words]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "state" / "ledger.jsonl")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    identity, public = key_pair(tmp_path)
    machines = LabMachines(public, TOKEN)
    stub = StubCloud(time.time, machines, active_after_s=1.0, address_after_s=2.0, lingers_s=3.0)
    stub.keys = [{"id": 7, "name": "operator", "fingerprint": fingerprint(public)}]
    with serving(stub) as url:
        environ = {
            **os.environ,
            "ROCMINFRA_DROPLET_TOKEN": TOKEN,
            "ROCMINFRA_DROPLET_ENDPOINT": url,
            "ROCMINFRA_DROPLET_STATE": str(tmp_path / "state"),
            "ROCMINFRA_HOSTS_FILE": str(hosts_file(tmp_path / "hosts.yaml")),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }
        yield Place(stub, machines, tmp_path, environ, identity)
    for droplet in stub.alive:
        lab_host.down(droplet.name)


def test_from_nothing_to_a_measured_endpoint_and_back_to_nothing(place: Place) -> None:
    bench = (*ROCMINFRA, "bench", "--scenario", "smoke")
    done = subprocess.run(
        place.command("life", *bench),
        cwd=place.folder,
        env=place.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    # It was waited for, in the open, and through its first boot.
    assert "waiting for login and cloud-init: cloud-init: running" in said
    # What was measured came back and is whole.
    (run,) = [path.parent for path in place.folder.glob("results/*/MANIFEST.sha256")]
    subprocess.run(["sha256sum", "--quiet", "-c", "MANIFEST.sha256"], cwd=run, check=True)
    assert "concurrent@" in done.stdout
    # It ends with its report: where it is, and what it says in words.
    ending = rf"report: \S*{run.name}/report/report\.html\n.*valid: (\d+) of \1 points\n"
    assert re.search(ending, done.stdout), done.stdout[-2000:]
    assert (run / "report" / "report.html").is_file()
    # The bill, and that there is nothing left to pay for.
    (line,) = [line for line in done.stderr.splitlines() if "of at most $" in line]
    assert "destroyed" in line
    assert line in (place.folder / "summary.md").read_text()
    assert place.stub.alive == []
    assert [entry.closed for entry in place.ledger.read().entries] == [DESTROYED]
    assert lab_host.left(f"{lab_host.PREFIX}life") == ()
    # The token was nowhere but in requests.
    assert TOKEN not in said
    assert place.machines.found_secrets == []
    kept = [path for path in place.folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]
    # One was paid for, with the size of its scratch disk known from the API.
    assert len(place.stub.droplets) == 1


def test_sigterm_in_the_middle_of_apply(place: Place) -> None:
    process = subprocess.Popen(
        place.command("term", "true"),
        cwd=place.folder,
        env=place.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "--> " in line and "scratch" in line:  # apply's first change is under way
            process.send_signal(signal.SIGTERM)
            break
    said += process.communicate(timeout=240)[1].splitlines(keepends=True)
    assert process.returncode == 130, "".join(said)[-4000:]
    assert place.stub.alive == []
    assert lab_host.left(f"{lab_host.PREFIX}term") == ()
    assert place.ledger.read().open == ()
    # What there was to learn was brought back before.
    assert list(place.folder.glob(f"results/{lab_host.PREFIX}term-*/kernel.log"))


def test_plain_pyinfra_works_on_what_create_made(place: Place) -> None:
    name = f"{lab_host.PREFIX}plain"
    create = [*ROCMINFRA, "droplet", "create", "--yes", "--json", "--name", name]
    made = subprocess.run(
        [*create, "--identity", str(place.identity)],
        cwd=place.folder,
        env=place.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(made.stdout)["droplets"][0]["name"] == name
    root = Path(__file__).parents[2]
    pyinfra = subprocess.run(
        [*PYINFRA, f"{root}/inventory/amd_cloud.py", "exec", "--", "findmnt", "/"],
        cwd=place.folder,
        env=place.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert pyinfra.returncode == 0, pyinfra.stderr
    assert name in pyinfra.stdout + pyinfra.stderr
    ssh = [*ROCMINFRA, "droplet", "ssh", name, "hostname"]
    shown = subprocess.run(ssh, env=place.environ, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == name
    destroy = [*ROCMINFRA, "droplet", "destroy", name, "--yes"]
    subprocess.run(destroy, env=place.environ, capture_output=True, check=True)
    assert lab_host.left(name) == ()
