"""One host has data on its disk, the other has not: with -y, without it, and with --dry.

The one with data is untouched from its first operation on, although that operation comes before
the disk's; the other one is finished.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_host import LabHost

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
DEPLOY = """\
from pyinfra import host
from pyinfra.operations import files

from rocminfra.operations import disk

disk.gate()
files.directory(name="First operation", path=f"/etc/first-{host.data.get('mode')}")
disk.scratch(name="Scratch disk")
files.directory(name="Last operation", path=f"/mnt/models/last-{host.data.get('mode')}")
"""
STATE = (
    "find /etc /mnt -xdev -printf '%p|%y|%m|%T@\\n' | sort | sha256sum; "
    "head -c 8388608 /dev/vdc | sha256sum; cat /proc/self/mountinfo | grep -c xfs"
)


def run(deploy: Path, hosts: tuple[LabHost, ...], mode: str, *options: str) -> tuple[int, str]:
    limits = [word for host in hosts for word in ("--limit", host.name)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyinfra", "inventory/lab.py", str(deploy)),
            *(*options, "--data", f"mode={mode}", *limits),
        ],
        cwd=ROOT,
        input="\n",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYINFRA_PROGRESS": "off"},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_host_with_data_is_untouched_and_the_other_one_is_finished(
    new_droplets: Callable[..., tuple[LabHost, ...]], tmp_path: Path
) -> None:
    deploy = tmp_path / "deploy.py"
    deploy.write_text(DEPLOY)
    hosts = new_droplets(2)
    held, fine = hosts
    held.ok(
        "printf 'my only copy' | dd of=/dev/vdc bs=512 seek=2048 conv=notrunc,fsync status=none"
    )
    before = held.ssh(STATE).stdout
    fine_before = fine.ssh(STATE).stdout
    message = f"{held.name}] /dev/vdc is not blank (5120.0 GiB, no signature)"

    code, text = run(deploy, hosts, "dry", "--dry")
    assert code == 1, text
    assert message in text
    assert held.ssh(STATE).stdout == before
    assert fine.ssh(STATE).stdout == fine_before

    for mode, options in (("y", ("-y",)), ("asked", ())):
        code, text = run(deploy, hosts, mode, *options)
        assert code == 1, text
        assert message in text
        assert f"--data wipe={held.name}:/dev/vdc:" in text
        assert "Traceback" not in text
        assert "No hosts remaining" not in text
        assert held.ssh(STATE).stdout == before
        assert fine.ok(f"ls -d /etc/first-{mode} /mnt/models/last-{mode}").count("\n") == 2
        assert "xfs" in fine.ok("findmnt --mountpoint /mnt/models -n -o FSTYPE,OPTIONS")
        # The next way of running it has something to do again.
        fine.ok("umount /mnt/models")
