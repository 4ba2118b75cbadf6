"""The stub cloud with the lab behind it: a droplet that is created there is a practice droplet."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import lab_host
from lab_host import PATHS, LabHost

from rocminfra.lab import droplet_record, keys
from rocminfra.lab.assets import IMAGE
from rocminfra.lab.droplets import TIME_SCALE
from rocminfra.planning.model.reference import REFERENCE_NAME

# First boot as an image does it: cloud-init runs for a while, holds apt's lock, and is done.
CLOUD_INIT = """#!/bin/sh
# Stands for cloud-init: the lab's image has none.
result=/run/cloud-init/result.json
age=$(( $(date +%s) - $(stat -c %Y /run/cloud-init/started) ))
if test "$age" -ge SECONDS; then
    echo '{"v1": {"errors": []}}' >$result
    echo 'status: done'
else
    echo 'status: running'
    exit 2
fi
"""


@dataclass
class LabMachines:
    """Practice droplets for the stub.

    + public_key: let in as root, as the cloud does with the account's keys
    + cloud_init_s: how long the first boot takes after SSH answers
    + secret: must be nowhere on a droplet when it is taken away
    """

    public_key: str
    secret: str
    cloud_init_s: int = 12
    found_secrets: list[str] = field(default_factory=list)

    def make(self, name: str) -> str:
        short = name.removeprefix(lab_host.PREFIX)
        assert short != name, "only droplets of this test run are made here"
        (host,) = lab_host.up([short])
        script = CLOUD_INIT.replace("SECONDS", str(self.cloud_init_s))
        subprocess.run(
            [
                *keys.ssh_command(PATHS, host.droplet),
                "cat >/usr/bin/cloud-init && chmod 755 /usr/bin/cloud-init",
            ],
            input=script,
            text=True,
            check=True,
        )
        host.ok("mkdir -p /run/cloud-init && touch /run/cloud-init/started")
        host.ok(f"echo '{self.public_key}' >>/root/.ssh/authorized_keys")
        return host.address

    def remove(self, name: str) -> None:
        host = LabHost(droplet_record.load(PATHS, name))
        # The pattern goes by standard input, or the search would find itself.
        places = "/etc /root /home /tmp /run /usr/local /var/lib/rocminfra /var/log"
        look = f"cp /dev/stdin /dev/shm/p; grep -rslF -f /dev/shm/p {places} /proc/[0-9]*/cmdline"
        found = subprocess.run(
            [*keys.ssh_command(PATHS, host.droplet), look],
            input=f"{self.secret}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        self.found_secrets += found.stdout.split()
        lab_host.down(name)


def hosts_file(path: Path) -> Path:
    """What the operator writes about all hosts, so that the practice droplet's model and engine
    stand for the real ones."""
    path.write_text(
        "defaults:\n"
        f"  model: {{source: {PATHS.model}, planned_as: {REFERENCE_NAME}}}\n"
        "  engine:\n"
        "    image_source: archive\n"
        f"    image_archive: /srv/rocminfra/{IMAGE}\n"
        f"    environment: {{ROCMINFRA_SIM_TIME_SCALE: '{TIME_SCALE:g}'}}\n"
        "    ready_timeout_s: 120\n"
        "    restart_delay_s: 2\n"
        "    vram_clean_timeout_s: 30\n"
    )
    return path


def key_pair(folder: Path) -> tuple[Path, str]:
    """A key of the operator's: its file and its public line."""
    key = folder / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key, key.with_suffix(".pub").read_text().strip()
