"""A playbook run on droplets, and what a second one must leave as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_host import LabHost

ROOT = Path(__file__).parents[2]
FILES = (
    "find /etc /usr/local /opt /root /mnt/models -xdev -path /mnt/models/docker -prune -o "
    "-type f -printf '%p|%T@\\n' -exec sha256sum {} + | sort; "
    # Everything else that is neither log nor the system's own bookkeeping: neither written nor
    # touched (%C@ is what chmod, chown and rename leave behind; of a folder, reading it in an
    # overlay may change that; packages are linked to those of the lab's cache, so that another
    # droplet's links to them show).
    "find / -xdev -regextype posix-extended -regex "
    "'/(proc|sys|run|dev|tmp|var/(log|tmp|backups|cache/apt/archives|"
    "lib/(systemd|docker|containerd)))' -prune -o "
    "-type d -printf '%p|%m|%U|%G|%T@\\n' -o -printf '%p|%y|%m|%U|%G|%C@\\n' | sort"
)
IDENTITY = (
    "blkid -p -s UUID -o value /dev/vdc; cat /mnt/models/.rocminfra-scratch; "
    "systemctl show --property Id --property InvocationID '*.service' '*.socket' '*.timer' "
    "'*.path' '*.target' '*.mount' | paste -sd '| \\n' | sort; "
    "docker ps -aq --no-trunc; docker inspect -f '{{.State.StartedAt}}' vllm-qwen2-vl-72b; "
    "findmnt -n -o SOURCE,FSTYPE,OPTIONS /mnt/models; cat /etc/fstab"
)
FRESH = (
    "find /etc /usr/local /opt /mnt -printf '%p|%y|%m|%u|%g|%T@\\n' | sort; "
    "find /etc -type f -exec sha256sum {} + | sort"
)
BLANK = "blkid -p /dev/vdc; head -c 4194304 /dev/vdc | sha256sum"


@dataclass
class Run:
    """A pyinfra command that has ended."""

    code: int
    out: str
    err: str

    @property
    def operations(self) -> list[dict[str, Any]]:
        return list(json.loads(self.out)["results"]["operations"])

    @property
    def changed(self) -> list[str]:
        return [item["name"] for item in self.operations if item["success"] or item["error"]]


def pyinfra(hosts: tuple[LabHost, ...], *words: str) -> Run:
    limits = [word for host in hosts for word in ("--limit", host.name)]
    command = [sys.executable, "-m", "pyinfra", "inventory/lab.py", *words, *limits]
    done = subprocess.run(
        command,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def rocminfra(host: LabHost, *words: str) -> Run:
    command = [sys.executable, "-m", "rocminfra", *words, "-i", "inventory/lab.py"]
    done = subprocess.run(
        [*command, "--limit", host.name],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@dataclass
class Twice:
    """A deploy, the same again, and what was seen of the host after each.

    + fresh: before the first
    + dry: after a plan, which must have changed nothing
    """

    host: LabHost
    plan: Run
    first: Run
    second: Run
    fresh: list[str]
    dry: list[str]
    files: tuple[set[str], set[str]]
    identity: tuple[set[str], set[str]]


def deploy_twice(host: LabHost) -> Twice:
    """Plan, deploy and deploy again."""
    # What the last services of the boot write is not our change.
    host.ssh("systemctl is-system-running --wait")
    look = f"{FRESH}; {BLANK} || true"
    fresh = host.ok(look).splitlines()
    plan = rocminfra(host, "plan")
    dry = host.ok(look).splitlines()
    runs, files, identity = [], [], []
    for _ in range(2):
        runs.append(pyinfra((host,), "-y", "deploy.py", "--json"))
        files.append(set(host.ok(FILES).splitlines()))
        identity.append(set(host.ok(IDENTITY).splitlines()))
    return Twice(
        host,
        plan,
        *(runs[0], runs[1]),
        *(fresh, dry),
        (files[0], files[1]),
        (identity[0], identity[1]),
    )


def check_twice(twice: Twice) -> None:
    """The first run serves a model, the second changes nothing and restarts nothing."""
    host = twice.host
    assert twice.plan.code == 0, twice.plan.err
    assert "never tried on" not in twice.plan.err
    assert twice.dry == twice.fresh
    assert twice.first.code == 0, twice.first.err
    assert "xfs" in host.ok("findmnt -n -o FSTYPE --mountpoint /mnt/models")
    assert host.ok("docker info -f '{{.DockerRootDir}}'").strip() == "/mnt/models/docker"
    models = host.ok(
        "python3 -c 'import urllib.request as u; "
        'print(u.urlopen("http://127.0.0.1:8000/v1/models").read().decode())\''
    )
    assert json.loads(models)["data"][0]["id"] == "Qwen/Qwen2-VL-72B-Instruct"
    status = rocminfra(host, "status")
    assert status.code == 0, status.err
    assert status.out.count("\n  ok ") == 9, status.out
    assert twice.second.code == 0, twice.second.err
    assert twice.second.changed == []
    assert len(twice.second.operations) == len(twice.first.operations) >= 15
    for before, after in (twice.files, twice.identity):
        assert before ^ after == set()
