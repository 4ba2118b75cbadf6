"""What a droplet knows about a failure, brought back before it is destroyed."""

from __future__ import annotations

import shlex
from pathlib import Path

from rocminfra.droplets.arrival import Arrived
from rocminfra.droplets.cloud import Cloud

TIMEOUT_S = 60.0
LARGEST = 4 * 1024 * 1024

# File and the command whose output it holds; a host without such a thing gives an empty file.
LOGS = {
    "vllm.log": "journalctl -u vllm.service --no-pager -n 5000",
    "docker.log": "journalctl -u docker.service --no-pager -n 1000",
    "cloud-init.log": "tail -n 2000 /var/log/cloud-init-output.log",
    "disks.txt": "lsblk -O -J; findmnt -J",
    "gpu.json": "amd-smi static --json",
    "kernel.log": "dmesg --ctime | tail -n 2000",
}


def collect(cloud: Cloud, arrived: Arrived, folder: Path) -> bool:
    """Bring logs back into ``folder``; False when there was nothing to bring.

    Nothing that goes wrong here keeps the droplet alive.
    """
    found = False
    for name, command in LOGS.items():
        cloud.say(f"{arrived.entry.label}: bringing {name} back")
        shell = f"{{ {command}; }} 2>&1 | tail -c {LARGEST}"
        ran = cloud.reach.run(arrived.login, f"bash -c {shlex.quote(shell)}", TIMEOUT_S)
        if ran.code == 255:
            cloud.say(f"{arrived.entry.label}: {name} could not be brought back")
            if not found:
                return False
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(ran.out, encoding="utf-8", errors="replace")
        except OSError as error:
            cloud.say(f"logs cannot be written: {error.filename}: {error.strerror}")
            return found
        found = True
    if found:
        cloud.say(f"{arrived.entry.label}: logs are in {folder}")
    return found
