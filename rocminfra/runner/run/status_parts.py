"""What ``rocminfra status`` asks a host, one part an entry.

A new part is a function and a line in PARTS. A part reads facts only.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from pyinfra.api.host import Host

from rocminfra.facts.docker import DockerContainer, DockerRoot, NoAnswer
from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.facts.engine import EngineReadiness
from rocminfra.facts.gpu_memory import GpuReport, Gpus
from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes
from rocminfra.facts.running_benchmarks import RunningBenchmarks
from rocminfra.facts.scratch_mount import ScratchMountStatus
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.facts.weights import ModelWeights
from rocminfra.operations.rocm import missing_nodes
from rocminfra.runner.run.connection_trouble import login
from rocminfra.runner.run.status_results import Part
from rocminfra.settings import Settings

UNIT = "vllm.service"
GIB = 1024**3
# An engine that gives no token for so long, and does nothing else meanwhile, hangs.
PATIENCE_S = 8
# Cures: a verb and its words, to which the host is added.
_STORAGE = ("apply", "tasks/storage.py")
_DOCKER = ("apply", "tasks/docker.py")
_MODEL = ("apply", "tasks/huggingface.py")
_ENGINE = ("apply", "tasks/vllm.py")
_LOGS = ("logs",)


def gpu(host: Host, settings: Settings) -> Part:
    """The GPUs that the settings count on."""
    wanted = settings.rocm.gpu_count
    nodes: tuple[GpuNode, ...] = host.get_fact(GpuNodes)
    report: GpuReport = host.get_fact(Gpus)
    missing, memory = missing_nodes(nodes, wanted, report), report.memory_mib
    details: dict[str, Any] = {"wanted": wanted, "memory_mib": list(memory)}
    if missing is not None:
        return Part(False, missing, details, _by_hand(host, "dmesg | grep amdgpu"))
    if not memory:
        return Part(True, f"{wanted} or more, memory unknown", details)
    sizes = " + ".join(f"{mib / 1024:.0f}" for mib in memory)
    return Part(True, f"{len(memory)}, {sizes} GiB", details)


def scratch(host: Host, settings: Settings) -> Part:
    """The scratch disk's mount."""
    mount_point = settings.storage.mount_point
    mount = host.get_fact(ScratchMountStatus, mount_point=mount_point)
    if mount is None:
        details: dict[str, Any] = {"mount_point": mount_point}
        return Part(False, f"nothing mounted at {mount_point}", details, _STORAGE)
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
        return Part(False, f"{words}; it has no mark of ours", details, _STORAGE)
    return Part(True, words, details)


def docker(host: Host, settings: Settings) -> Part:
    """The Docker daemon and where its data is."""
    root = host.get_fact(DockerRoot)
    if isinstance(root, NoAnswer):
        root = None
    details = {"running": root is not None, "data_root": root}
    if root is None:
        return Part(False, "no Docker daemon answers", details, _DOCKER)
    seen = host.get_fact(DockerConfiguration, data_root=settings.docker.data_root)
    if not seen.is_same_path(root, settings.docker.data_root):
        words = f"data in {root}, not {settings.docker.data_root}"
        return Part(False, words, details, _DOCKER)
    return Part(True, f"data in {root}", details)


def unit(host: Host, _settings: Settings) -> Part:
    """The systemd unit of the engine."""
    found = host.get_fact(SystemdUnit, unit=UNIT)
    if found is None or found.load_state != "loaded":
        details: dict[str, Any] = {"unit": UNIT, "state": "not-found"}
        return Part(False, f"{UNIT} is not installed", details, _ENGINE)
    starts = "starts at boot" if found.enabled else "does not start at boot"
    details = {"unit": UNIT, "state": found.active_state, "enabled": found.enabled}
    good = found.active_state == "active" and found.enabled
    cure = _LOGS if found.active_state == "failed" else _ENGINE
    return Part(good, f"{UNIT} is {found.active_state}, {starts}", details, cure)


def engine(host: Host, settings: Settings) -> Part:
    """Whether the engine serves the declared model, proved by a real completion."""
    status = host.get_fact(
        EngineReadiness,
        unit=UNIT,
        container=settings.engine.container_name,
        port=settings.vllm.port,
        model=settings.model.name,
        address=settings.vllm.asked_at,
        patience_s=PATIENCE_S,
    )
    details: dict[str, Any] = {
        "state": status.state,
        "reason": status.reason,
        "log": list(status.log),
    }
    details["model"] = settings.model.name if status.state == "ready" else None
    if status.state == "ready":
        busy = f" ({status.reason})" if status.reason else ""
        return Part(True, f"ready, serves {settings.model.name}{busy}", details)
    cures: dict[str, tuple[str, ...] | str | None] = {
        "loading": ("logs", "-f"),
        "hung": _by_hand(host, f"systemctl restart {UNIT}"),
        "wrong": _ENGINE,
    }
    installed = status.container or status.log
    cure = cures.get(status.state, _LOGS if installed else _ENGINE)
    return Part(False, f"{status.state}: {status.reason}", details, cure)


def endpoint(_host: Host, settings: Settings) -> Part:
    """Where the engine is asked; only of an engine that serves."""
    port = settings.vllm.port
    details: dict[str, Any] = {"host": settings.vllm.host, "port": port}
    url = f"http://{settings.vllm.asked_at}:{port}/v1"
    return Part(True, f"{url} on the host; from here: rocminfra tunnel {_host.name}", details)


def weights(host: Host, settings: Settings) -> Part:
    """The model's weights on the host."""
    model = settings.model
    if model.is_local_folder:
        path = settings.model_argument
    else:
        # The hub's cache calls it so (huggingface_hub, repo_folder_name).
        name = "--".join(["models", *model.source.split("/")])
        path = f"{settings.huggingface.home}/hub/{name}"
    found = host.get_fact(ModelWeights, path=path)
    details = {
        "path": path,
        "files": found.files,
        "size_bytes": found.size_bytes,
        "incomplete": found.incomplete,
    }
    if found.incomplete:
        words = f"{found.incomplete} files are incomplete: a download runs, or was cut off"
        return Part(False, words, details, _MODEL)
    if not found.files:
        return Part(False, f"none in {path}", details, _MODEL)
    files = "1 file" if found.files == 1 else f"{found.files} files"
    return Part(True, f"{model.name}, {files}, {found.size_bytes / GIB:.1f} GiB", details)


def benchmark(host: Host, _settings: Settings) -> Part:
    """Whether a benchmark runs, which is no fault."""
    runs: tuple[str, ...] = host.get_fact(RunningBenchmarks)
    return Part(True, f"{', '.join(runs)} runs" if runs else "none runs", {"runs": list(runs)})


def container(host: Host, settings: Settings) -> Part:
    """The engine's container."""
    name = settings.engine.container_name
    found = host.get_fact(DockerContainer, container=name)
    if found is None or isinstance(found, NoAnswer):
        details: dict[str, Any] = {"name": name, "running": False}
        if found is None:
            return Part(False, f"no container {name}", details, _ENGINE)
        return Part(False, "Docker does not answer", details, _DOCKER)
    words = f"{name} is up {_age(found.started_at)}" if found.running else f"{name} is stopped"
    details = {
        "name": name,
        "running": found.running,
        "started_at": found.started_at,
        "image_id": found.image_id,
    }
    return Part(found.running, words, details, _LOGS)


def _age(started_at: str, now: float | None = None) -> str:
    """How long ago Docker's ``StartedAt`` was, in the largest unit that says something.

    + now: seconds since the epoch; None for this machine's clock
    """
    # Nanoseconds, which Python does not read; Docker writes UTC.
    whole = started_at.split(".")[0].removesuffix("Z")
    try:
        began = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return f"since {started_at}"
    seconds = max(0, int((time.time() if now is None else now) - began))
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and name == "min"):
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def _by_hand(host: Host, command: str) -> str | None:
    """A command on the host, as it is typed here; None for other connectors than SSH."""
    by_hand = login(host)
    if by_hand is None:
        return None
    sudo = "sudo " if host.data.get("_sudo") else ""
    return f"{by_hand.removesuffix(' true')} {shlex.quote(f'{sudo}{command}')}"


Reader = Callable[[Host, Settings], Part]

# In the order in which a host is built up: what fails first is the reason for what follows.
PARTS: dict[str, Reader] = {
    "gpu": gpu,
    "scratch": scratch,
    "docker": docker,
    "weights": weights,
    "unit": unit,
    "container": container,
    "engine": engine,
    "endpoint": endpoint,
    "benchmark": benchmark,
}
# Parts that say nothing unless another one is good.
NEEDS = {"endpoint": "engine"}
