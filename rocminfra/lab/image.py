"""Builds the lab's engine image as a `docker save` archive, without Docker or a registry."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import tokenizers

from rocminfra.failure import FailedError, Fault
from rocminfra.lab.image_files import Entry, entries, sources

TAG = "vllm/vllm-openai-rocm:v0.20.1"
# How many times faster than a real MI300X the image's engine is unless its environment says
# otherwise; the stand-in GPU of the practice droplet calls itself after it.
TIME_SCALE = 20
# Part of the key: raise it when the archive would differ though no source did.
_FORMAT = 1
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def build(base_root: Path, out: Path) -> str:
    """Make the archive at ``out``, complete or not at all, and return the image's id.

    + base_root: a Debian or Ubuntu root with Python 3 in it
    + out: the archive; ``<out>.key`` beside it says what it was made from

    Nothing is done when the archive there was made from the same sources. Raises
    FailedError when the root or this environment lacks something.
    """
    key = content_key(base_root)
    known = _read_key(out)
    if known is not None and known["key"] == key:
        return str(known["image_id"])
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        layer = Path(folder) / "layer.tar"
        diff_id = _write_layer(layer, entries(base_root))
        config = _config(diff_id)
        image_id = hashlib.sha256(config).hexdigest()
        archive = Path(folder) / "image.tar"
        _write_archive(archive, layer, diff_id, config, image_id)
        archive.chmod(0o644)
        # The key is last: an archive without one is made again.
        _key_file(out).unlink(missing_ok=True)
        archive.rename(out)
    key_text = json.dumps({"key": key, "image_id": f"sha256:{image_id}"})
    staging = out.with_name(f".{out.name}.key-{os.getpid()}")
    staging.write_text(f"{key_text}\n")
    staging.rename(_key_file(out))
    return f"sha256:{image_id}"


def content_key(base_root: Path) -> str:
    """Hash of everything that the archive is made from."""
    digest = hashlib.sha256()
    digest.update(f"{_FORMAT} {TIME_SCALE} {tokenizers.__version__}\n".encode())
    packages = base_root / "var/lib/dpkg/status"
    if not packages.is_file():
        raise FailedError(
            Fault.LAB_BASE_ROOT_UNFIT,
            f"{base_root} is not a Debian or Ubuntu root: it has no var/lib/dpkg/status",
        )
    files = {"dpkg-status": packages, **sources()}
    for module in ("image", "image_files", "elf", "rooted"):
        files[module] = Path(__file__).with_name(f"{module}.py")
    for name, path in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _key_file(out: Path) -> Path:
    return out.with_name(f"{out.name}.key")


def _read_key(out: Path) -> dict[str, Any] | None:
    if not out.is_file():
        return None
    try:
        value = json.loads(_key_file(out).read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and {"key", "image_id"} <= set(value) else None


def _config(diff_id: str) -> bytes:
    """The image's configuration (OCI image specification, and what `docker save` writes)."""
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        # What vLLM's own image sets.
        "HIP_FORCE_DEV_KERNARG": "1",
        "HSA_NO_SCRATCH_RECLAIM": "1",
        "SAFETENSORS_FAST_GPU": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "ROCMINFRA_SIM_TIME_SCALE": str(TIME_SCALE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    machine = platform.machine()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": ["vllm", "serve"],
            "Cmd": None,
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": "rocminfra engine simulator"},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "rocminfra lab"}],
    }
    return json.dumps(config, separators=(",", ":"), sort_keys=True).encode()


def _write_layer(path: Path, members: list[Entry]) -> str:
    """Write the layer and return the SHA-256 of it."""
    with path.open("wb") as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for entry in members:
            info = _member(entry.name, entry.mode)
            if entry.link is not None:
                info.type = tarfile.SYMTYPE
                info.linkname = entry.link
                tar.addfile(info)
            elif entry.is_folder:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                content = entry.content()
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
    return _sha256(path)


def _write_archive(path: Path, layer: Path, diff_id: str, config: bytes, image_id: str) -> None:
    """Write the archive: manifest first, so that a reader need not look through a layer."""
    config_name = f"{image_id}.json"
    layer_name = f"{diff_id}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [TAG], "Layers": [layer_name]}]
    with path.open("wb") as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in (
            ("manifest.json", json.dumps(manifest).encode()),
            (config_name, config),
        ):
            info = _member(name, 0o644)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
        with layer.open("rb") as content:
            info = _member(layer_name, 0o644)
            info.size = layer.stat().st_size
            tar.addfile(info, content)


def _member(name: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.mtime = 0
    return info


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        _update(digest, stream)
    return digest.hexdigest()


def _update(digest: Any, stream: IO[bytes]) -> None:
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
