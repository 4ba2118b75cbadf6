"""What ``rocminfra status`` asks a host, one part an entry.

A new part is a function and a line in PARTS. A part reads facts only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyinfra.api.host import Host

from rocminfra.facts.docker import DockerContainer, DockerRoot, NoAnswer
from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.facts.engine import EngineReadiness
from rocminfra.facts.scratch_mount import ScratchMountStatus
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.runner.run.status_results import Part
from rocminfra.settings import Settings

UNIT = "vllm.service"
GIB = 1024**3


def scratch(host: Host, settings: Settings) -> Part:
    """The scratch disk's mount."""
    mount_point = settings.storage.mount_point
    mount = host.get_fact(ScratchMountStatus, mount_point=mount_point)
    if mount is None:
        return Part(False, f"nothing mounted at {mount_point}", {"mount_point": mount_point})
    used = 100 * mount.used_bytes / mount.size_bytes if mount.size_bytes else 0.0
    words = (
        f"{mount.device} ({mount.filesystem}) at {mount_point},"
        f" {mount.size_bytes / GIB:.0f} GiB, {used:.0f} % used"
    )
    details = {
        "mount_point": mount_point,
        "device": mount.device,
        "filesystem": mount.filesystem,
        "options": list(mount.options),
        "uuid": mount.uuid,
        "size_bytes": mount.size_bytes,
        "used_bytes": mount.used_bytes,
        "available_bytes": mount.available_bytes,
    }
    if mount.uuid is None:
        return Part(False, f"{words}; it has no mark of ours", details)
    return Part(True, words, details)


def docker(host: Host, settings: Settings) -> Part:
    """The Docker daemon and where its data is."""
    root = host.get_fact(DockerRoot)
    if isinstance(root, NoAnswer):
        root = None
    details = {"running": root is not None, "data_root": root}
    if root is None:
        return Part(False, "no Docker daemon answers", details)
    seen = host.get_fact(DockerConfiguration, data_root=settings.docker.data_root)
    if not seen.is_same_path(root, settings.docker.data_root):
        return Part(False, f"data in {root}, not {settings.docker.data_root}", details)
    return Part(True, f"data in {root}", details)


def unit(host: Host, _settings: Settings) -> Part:
    """The systemd unit of the engine."""
    found = host.get_fact(SystemdUnit, unit=UNIT)
    if found is None or found.load_state != "loaded":
        return Part(False, f"{UNIT} is not installed", {"unit": UNIT, "state": "not-found"})
    starts = "starts at boot" if found.enabled else "does not start at boot"
    details = {"unit": UNIT, "state": found.active_state, "enabled": found.enabled}
    good = found.active_state == "active" and found.enabled
    return Part(good, f"{UNIT} is {found.active_state}, {starts}", details)


def engine(host: Host, settings: Settings) -> Part:
    """Whether the engine serves the declared model, proved by a real completion."""
    status = host.get_fact(
        EngineReadiness,
        unit=UNIT,
        container=settings.engine.container_name,
        port=settings.vllm.port,
        model=settings.model.name,
        address=settings.vllm.asked_at,
    )
    details: dict[str, Any] = {
        "state": status.state,
        "reason": status.reason,
        "log": list(status.log),
    }
    details["model"] = settings.model.name if status.state == "ready" else None
    if status.state == "ready":
        return Part(True, f"ready, serves {settings.model.name}", details)
    return Part(False, f"{status.state}: {status.reason}", details)


def container(host: Host, settings: Settings) -> Part:
    """The engine's container."""
    name = settings.engine.container_name
    found = host.get_fact(DockerContainer, container=name)
    if found is None or isinstance(found, NoAnswer):
        words = f"no container {name}" if found is None else "Docker does not answer"
        return Part(False, words, {"name": name, "running": False})
    words = f"{name} since {found.started_at}" if found.running else f"{name} is stopped"
    details = {
        "name": name,
        "running": found.running,
        "started_at": found.started_at,
        "image_id": found.image_id,
    }
    return Part(found.running, words, details)


Reader = Callable[[Host, Settings], Part]

# In the order in which a host is built up: what fails first is the reason for what follows.
PARTS: dict[str, Reader] = {
    "scratch": scratch,
    "docker": docker,
    "unit": unit,
    "container": container,
    "engine": engine,
}
