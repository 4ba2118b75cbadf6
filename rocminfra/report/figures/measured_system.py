"""What a run recorded of the system that it measured, for the provenance box."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rocminfra.planning.bench.outcome_records import Provenance

_SHORT_HASH = 12


def items(found: Provenance) -> list[tuple[str, str | None]]:
    """Lines of the box; None for what the run did not record, which ``Unknown`` names."""
    arguments = found.engine_arguments
    ours = found.rocminfra or {}
    return [
        ("Image", found.image),
        ("Image digest", found.image_digest or found.image_id),
        ("Engine arguments", None if arguments is None else shlex.join(arguments)),
        ("Model revision", found.model_revision),
        ("Model files", _files(found.model_files)),
        ("Firmware", _each(found, "firmware")),
        ("Power cap", _each(found, "power_cap_w", " W")),
        ("GPU clock, highest", _each(found, "gfx_clock_max_mhz", " MHz")),
        ("Memory clock, highest", _each(found, "memory_clock_max_mhz", " MHz")),
        ("ROCm on the host", found.rocm),
        ("System", found.system),
        ("GuideLLM's check", _guidellm(found.guidellm)),
        ("Load generator's host", _load_generator(found.load_generator)),
        ("rocminfra", " ".join(str(ours[key]) for key in ("version", "commit") if ours.get(key))),
        ("Settings", _hash(ours.get("settings_sha256"))),
        ("Unknown", ", ".join(sorted(found.unknown or {}))),
    ]


def _load_generator(load: Mapping[str, Any] | None) -> str | None:
    """Another host that sent the load: what it is, and how far its clock was."""
    if load is None:
        return None
    clock = load.get("clock") or {}
    offset = clock.get("offset_s")
    known = [load.get("system"), load.get("kernel"), load.get("machine")]
    words = [str(one) for one in known if one]
    if load.get("cores"):
        words.append(f"{load['cores']} cores")
    if isinstance(offset, (int, float)):
        words.append(f"clock {1000 * offset:+.1f} ms from the engine's host")
    return ", ".join([str(load["host"]), *words])


def _files(files: Mapping[str, Any] | None) -> str | None:
    if not files:
        return None
    known = [one for one in files.values() if isinstance(one, Mapping)]
    sizes = [one.get("bytes") for one in known]
    size = sum(one for one in sizes if isinstance(one, (int, float)))
    hashed = sum(bool(one.get("sha256")) for one in known)
    return f"{len(known)}, {size / 1e9:,.2f} GB, SHA-256 of {hashed} in run.json"


def _each(found: Provenance, name: str, unit: str = "") -> str | None:
    """A figure of the GPUs, once where all have the same."""
    values = [_words(gpu.get(name), unit) for gpu in found.gpus]
    return ", ".join(dict.fromkeys(value for value in values if value)) or None


def _words(value: Any, unit: str) -> str | None:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {version}" for name, version in value.items())
    if isinstance(value, (int, float)):
        return f"{value:g}{unit}"
    return None if value is None else f"{value}{unit}"


def _guidellm(told: Mapping[str, Any] | None) -> str | None:
    if not told:
        return None
    done = "added to" if told.get("patched") else "not added to"
    return f"for the end of a run {done} {told.get('version')}: {told.get('why')}"


def _hash(value: Any) -> str | None:
    return f"SHA-256 {value[:_SHORT_HASH]}" if isinstance(value, str) else None
