"""What was measured, as far as the host can say: image, engine, model, GPUs, system, software.

Nothing is guessed: what is unknown is null, and ``unknown`` says why. It is collected once, before
the first point; none of it takes more than a few hundred milliseconds.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rocminfra.host.bench import amd_smi, driver_files
from rocminfra.host.bench.telemetry import fetch
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import PointRecord, Provenance

TIMEOUT_S = 10.0
ROCM_VERSION = Path("/opt/rocm/.info/version")
DRIVER_VERSION = Path("/sys/module/amdgpu/version")
OS_RELEASE = Path("/etc/os-release")
# Written beside a model that was copied to the host: SHA-256, size, time and path of each file.
MODEL_MANIFEST = ".rocminfra-model"
# Larger files are not read: weights take minutes.
MOST_HASHED_BYTES = 16 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_FILES = 1_000


def collect(job: JobRecord) -> Provenance:
    """What the run measures.

    + job: what was asked for
    """
    unknown: dict[str, str] = {}
    container = _container(job.container, unknown)
    config = container.get("Config") or {}
    image = _image(container, unknown)
    gpus = _gpus(unknown)
    revision, files = _model(job, unknown)
    software = dict(job.software or {})
    for name in ("version", "commit", "settings_sha256"):
        if software.get(name) is None:
            unknown[f"rocminfra.{name}"] = "the operator's side did not say"
    rocm = _text(ROCM_VERSION)
    if rocm is None:
        unknown["rocm"] = f"{ROCM_VERSION} is missing: there is no ROCm outside the image"
    engine = _engine_version(job)
    if engine is None:
        unknown["engine"] = "the engine does not answer /version"
    arguments = config.get("Cmd")
    return Provenance(
        engine=engine,
        gpus=tuple(gpus),
        model=job.model,
        kernel=platform.release(),
        machine=platform.machine(),
        cores=os.cpu_count(),
        system=system(),
        rocm=rocm,
        image=config.get("Image"),
        image_id=container.get("Image"),
        image_digest=image,
        engine_arguments=tuple(map(str, arguments)) if isinstance(arguments, list) else None,
        model_revision=revision,
        model_files=files,
        rocminfra=software,
        unknown=unknown,
    )


def with_guidellm(provenance: Provenance, records: Sequence[PointRecord]) -> Provenance:
    """Provenance with the GuideLLM that ran, which only its launcher knows.

    + provenance: what was collected before the first point
    + records: of the run's points
    """
    starts = [one.launcher for record in records for one in record.attempts if one.launcher]
    if not starts:
        why = "no attempt got as far as its launcher"
        return replace(provenance, unknown={**(provenance.unknown or {}), "guidellm": why})
    last = starts[-1]
    told = {"version": last.get("guidellm"), "patched": last.get("patched"), "why": last.get("why")}
    return replace(provenance, guidellm=told)


def with_load_generator(
    provenance: Provenance, job: JobRecord, records: Sequence[PointRecord]
) -> Provenance:
    """Provenance with the host that GuideLLM ran on, when that is another one.

    + provenance: what was collected before the first point
    + job: what was asked for
    + records: of the run's points
    """
    load = job.load_generator
    if load is None:
        return provenance
    told = [one.load_generator for record in records for one in record.attempts]
    machine = next((one for one in reversed(told) if one), None)
    unknown = dict(provenance.unknown or {})
    if machine is None:
        unknown["load_generator"] = f"no attempt reached {load.host}"
    return replace(
        provenance,
        load_generator={**(machine or {}), "host": load.host, "way": load.way},
        unknown=unknown,
    )


def system() -> str | None:
    """Name of this host's operating system."""
    for line in (_text(OS_RELEASE) or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return None


def _container(name: str | None, unknown: dict[str, str]) -> dict[str, Any]:
    """``docker inspect`` of the engine's container."""
    names = ("image", "image_id", "engine_arguments")
    if name is None:
        unknown.update(dict.fromkeys(names, "the engine's container is not on this host"))
        return {}
    found = _docker(["inspect", "--type", "container", name])
    if isinstance(found, str):
        unknown.update(dict.fromkeys(names, found))
        return {}
    return found


def _image(container: Mapping[str, Any], unknown: dict[str, str]) -> str | None:
    """The digest under which a registry knows the container's image."""
    identity = container.get("Image")
    if not identity:
        unknown["image_digest"] = unknown.get("image", "the container names no image")
        return None
    found = _docker(["image", "inspect", str(identity)])
    digests = found.get("RepoDigests") if isinstance(found, dict) else None
    if digests:
        return str(digests[0])
    why = "the image was loaded from an archive, so no registry has given it a digest"
    unknown["image_digest"] = found if isinstance(found, str) else why
    return None


def _docker(arguments: Sequence[str]) -> dict[str, Any] | str:
    """The one object that a ``docker inspect`` prints, or why there is none."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            text=True,
        )
        answers = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"docker {arguments[0]}: {type(error).__name__}: {error}"
    if not answers:
        return f"Docker knows no {arguments[-1]} on this host"
    found = answers[0] if isinstance(answers, list) else None
    return found if isinstance(found, dict) else f"docker {arguments[0]} printed no list of objects"


def _engine_version(job: JobRecord) -> str | None:
    base = job.target.rpartition("/v1")[0] or job.target
    try:
        version = json.loads(fetch(f"{base}/version")).get("version")
    except (OSError, ValueError, AttributeError):
        return None
    return version if isinstance(version, str) else None


def _gpus(unknown: dict[str, str]) -> list[dict[str, Any]]:
    """The engine's GPUs: what amd-smi calls them, and what the driver's files add."""
    models = amd_smi.gpu_models()
    cards = driver_files.cards(amd_smi.engine_environment())
    if not models and not cards:
        unknown["gpus"] = "neither amd-smi nor the driver's files list one"
        return []
    told = models if len(models) >= len(cards) else [{"name": None, "driver": None} for _ in cards]
    driver = _text(DRIVER_VERSION)
    gpus = []
    for index, model in enumerate(told):
        known = (
            driver_files.describe(cards[index]) if len(cards) == len(told) else driver_files.NOTHING
        )
        said = {name: value for name, value in model.items() if value is not None}
        gpus.append({"name": None, "driver": driver, **known, **said})
    for name in sorted({name for gpu in gpus for name, value in gpu.items() if value is None}):
        unknown[f"gpus.{name}"] = "neither amd-smi nor the driver's files say"
    return gpus


def _model(
    job: JobRecord, unknown: dict[str, str]
) -> tuple[str | None, dict[str, dict[str, Any]] | None]:
    """The model's revision, and size and SHA-256 of each of its files."""
    folder = Path(job.tokenizer)
    if folder.is_absolute():
        unknown["model_revision"] = "a folder has none; its files' hashes say what it holds"
        hashes = _copied(folder)
    else:
        home = job.environment.get("HF_HOME")
        if home is None:
            unknown.update(dict.fromkeys(("model_revision", "model_files"), "HF_HOME is not set"))
            return None, None
        hub = Path(home) / "hub" / f"models--{job.tokenizer.replace('/', '--')}"
        revision = job.model_revision or "main"
        commit = _text(hub / "refs" / revision) or revision
        folder, hashes = hub / "snapshots" / commit, {}
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())[:_MOST_FILES]
    except OSError:
        paths = []
    if not paths:
        why = f"{folder} cannot be read here"
        unknown.setdefault("model_revision", why)
        unknown["model_files"] = why
        return None, None
    files = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        digest = hashes.get(name) or _hash(path)
        files[name] = {"bytes": path.stat().st_size, "sha256": digest}
        if digest is None:
            unknown.setdefault(
                "model_files.sha256", f"not read: too large, such as {name}, and nobody noted it"
            )
    return (None if "model_revision" in unknown else folder.name), files


def _copied(folder: Path) -> dict[str, str]:
    """SHA-256 of each file as it was when it was copied to the host."""
    found = {}
    for line in (_text(folder / MODEL_MANIFEST) or "").splitlines():
        words = line.split(" ", 3)
        if len(words) == 4 and _SHA256.fullmatch(words[0]):
            found[words[3]] = words[0]
    return found


def _hash(path: Path) -> str | None:
    # The hub's cache names the blob of a large file by its SHA-256.
    blob = path.resolve().name
    if path.is_symlink() and _SHA256.fullmatch(blob):
        return blob
    try:
        if path.stat().st_size > MOST_HASHED_BYTES:
            return None
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
