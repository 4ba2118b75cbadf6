"""What is up, as pyinfra's inventory wants it."""

from __future__ import annotations

import os
from typing import Any

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import droplet_record, keys, processes
from rocminfra.lab.assets import IMAGE
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.paths import LabPaths, default_paths
from rocminfra.planning.model.reference import REFERENCE_NAME

USER_VARIABLE = "ROCMINFRA_LAB_USER"


def hosts(paths: LabPaths | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Droplets that run, with how to log in and their settings.

    ``ROCMINFRA_LAB_USER=ops`` logs in as the sudo user instead of root.

    Raises :class:`FailedError` when no droplet runs.
    """
    paths = default_paths() if paths is None else paths
    running = processes.running(paths)
    found = [droplet for droplet in droplet_record.readable(paths) if droplet.name in running]
    if not found:
        dead = droplet_record.names(paths)
        raise FailedError(
            Fault.LAB_NONE_UP,
            "no practice droplet is up",
            (f"left over from a run that was killed: {', '.join(dead)}",) if dead else (),
            Do("rocminfra lab up   (or all at once: make demo)"),
        )
    return [(droplet.name, data(paths, droplet)) for droplet in found]


def data(paths: LabPaths, droplet: Droplet) -> dict[str, Any]:
    """A droplet's host data: connection and settings.

    Raises :class:`FailedError` when this user cannot read the lab's key.
    """
    user = os.environ.get(USER_VARIABLE, "root").strip()
    return {
        "ssh_hostname": droplet.address,
        "ssh_user": user,
        "ssh_key": str(keys.private_key(paths, droplet)),
        "ssh_known_hosts_file": str(paths.droplet(droplet.name) / keys.KNOWN_HOSTS),
        "ssh_strict_host_key_checking": "yes",
        **({} if user == "root" else {"_sudo": True}),
        "storage": {"expected_size_gib": float(droplet.disk_gib)},
        # The simulated engine has the memory and the speed of one that serves the real model.
        "model": {
            "source": droplet.model,
            "name": REFERENCE_NAME,
            "planned_as": REFERENCE_NAME,
        },
        "engine": {
            "image_source": "archive",
            "image_archive": f"/srv/rocminfra/{IMAGE}",
            "environment": {"ROCMINFRA_SIM_TIME_SCALE": f"{droplet.time_scale:g}"},
            # Everything here happens in seconds; a failure need not take half an hour.
            "ready_timeout_s": 120,
            "restart_delay_s": 2,
            "vram_clean_timeout_s": 30,
        },
    }
