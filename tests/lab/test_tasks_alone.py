"""Tasks alone on a droplet where none has been: refused untouched, with what to run first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lab_host import LabHost

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
STATE = (
    "find /etc /usr/local /opt /mnt /var/lib/dpkg -printf '%p|%y|%m|%u|%g|%T@\\n' | sort;"
    " blkid -p /dev/vdc || true"
)


@pytest.mark.parametrize("task", ["docker", "image", "huggingface", "vllm"])
def test_a_task_without_the_scratch_disk_changes_nothing(droplet: LabHost, task: str) -> None:
    before = droplet.ok(STATE)
    command = [sys.executable, "-m", "pyinfra", "-y", "inventory/lab.py", f"tasks/{task}.py"]
    done = subprocess.run(
        [*command, "--limit", droplet.name],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 1
    assert "nothing is mounted at /mnt/models" in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "next: deploy.py does everything in its order; or first: " in last
    assert "tasks/storage.py" in last
    assert "Traceback" not in done.stderr
    assert droplet.ok(STATE) == before
