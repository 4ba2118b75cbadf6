"""Figures of the engine's GPUs from the driver's files in sysfs, which cost microseconds.

Which files there are depends on card, driver and whether this is a guest: an MI300X guest has
``power1_input`` and labelled temperatures, other systems have ``power1_average`` or none.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocminfra.planning.gpus.gpu_selection import (
    MIB,
    Gpu,
    partitioned,
    select,
    visible,
)

DRM = Path("/sys/class/drm")

# Files of a device, and how to turn what they hold into the unit of the figure's name
# (Documentation/gpu/amdgpu/driver-misc.rst and thermal.rst of Linux).
_DEVICE_FILES = {
    "gfx_activity_percent": ("gpu_busy_percent", 1.0),
    "umc_activity_percent": ("mem_busy_percent", 1.0),
    "vram_used_mib": ("mem_info_vram_used", 1.0 / MIB),
    "vram_total_mib": ("mem_info_vram_total", 1.0 / MIB),
}
# Files of its hwmon in the order of preference: microwatts and microjoules.
_HWMON_FILES = {
    "power_w": (("power1_average", "power1_input"), 1e-6),
    "energy_j": (("energy1_input",), 1e-6),
}
# A line such as ``1: 2100Mhz *``.
_CLOCK = re.compile(r"^\S+: (\d+)Mhz", re.MULTILINE | re.IGNORECASE)
# Temperatures in millidegrees, found by label: their numbers differ between cards.
_TEMPERATURES = {"junction": "temperature_hotspot_c", "mem": "temperature_mem_c"}


@dataclass(frozen=True)
class Card:
    """One GPU of the engine.

    + number: its position among the host's AMD cards, as amd-smi numbers them
    + device: its folder in sysfs, links resolved, which stays the same while the driver is loaded
    + files: file and factor of each figure that this card has
    """

    number: int
    device: Path
    files: Mapping[str, tuple[Path, float]]


def cards(environment: Mapping[str, str], drm: Path | None = None) -> list[Card]:
    """The engine's GPUs; empty where sysfs does not say which they are.

    + environment: the engine's, which may hide GPUs from it
    + drm: folder of the DRM nodes

    Partitioned GPUs share their card's files, so nobody can say from them what a partition does.
    """
    drm = DRM if drm is None else drm
    nodes = [_gpu(path) for path in drm.glob("renderD*")]
    selection = select(nodes)
    usable = selection.usable
    if partitioned(usable):
        return []
    everything = sorted(
        (gpu for gpu in nodes if not gpu.is_partition and gpu.vram_bytes is not None),
        key=lambda gpu: (len(gpu.node), gpu.node),
    )
    positions = visible(len(usable), environment)
    chosen = usable if positions is None else [usable[position] for position in positions]
    return [
        Card(everything.index(gpu), Path(gpu.path), _files(Path(gpu.path)))
        for gpu in chosen
        if gpu in everything
    ]


def are_partitioned(drm: Path | None = None) -> bool | None:
    """Whether one of the host's GPUs is partitioned; None where sysfs knows no GPU."""
    return partitioned([_gpu(path) for path in (DRM if drm is None else drm).glob("renderD*")])


def read(card: Card) -> dict[str, float]:
    """The figures of a card now; what cannot be read is left out."""
    found = {}
    for name, (path, factor) in card.files.items():
        value = _number(path)
        if value is not None:
            found[name] = round(value * factor, 3)
    return found


# What :func:`describe` says of a card of which nothing is known.
NOTHING: dict[str, Any] = dict.fromkeys(
    ("device", "firmware", "vbios", "power_cap_w", "gfx_clock_max_mhz", "memory_clock_max_mhz")
)


def describe(card: Card) -> dict[str, Any]:
    """What the driver's files say of a card that does not change while it is used; None where they
    say nothing.

    ``firmware`` has a version of each of its processors; a clock is the highest one that is allowed
    (``pp_dpm_sclk``, ``pp_dpm_mclk``), ``power_cap_w`` its limit now.
    """
    device = card.device
    firmware = {
        path.name.replace("_fw_version", ""): text
        for path in sorted(device.glob("fw_version/*_fw_version"))
        # Zero is that of a processor that this card does not have.
        if (text := _text(path)) and text.strip("0x")
    }
    caps = (_number(path) for path in sorted(device.glob("hwmon/hwmon*/power1_cap")))
    cap = next((value for value in caps if value is not None), None)
    return {
        **NOTHING,
        "device": _text(device / "device"),
        "firmware": firmware or None,
        "vbios": _text(device / "vbios_version") or None,
        "power_cap_w": None if cap is None else round(cap / 1e6, 1),
        "gfx_clock_max_mhz": _highest_clock(device / "pp_dpm_sclk"),
        "memory_clock_max_mhz": _highest_clock(device / "pp_dpm_mclk"),
    }


def _highest_clock(path: Path) -> float | None:
    clocks = [float(mhz) for mhz in _CLOCK.findall(_text(path) or "")]
    return max(clocks, default=None)


def _files(device: Path) -> dict[str, tuple[Path, float]]:
    found = {name: (device / file, factor) for name, (file, factor) in _DEVICE_FILES.items()}
    for folder in sorted(device.glob("hwmon/hwmon*")):
        for name, (files, factor) in _HWMON_FILES.items():
            there = (folder / file for file in files if _number(folder / file) is not None)
            path = next(there, None)
            if path is not None:
                found[name] = (path, factor)
        for label in folder.glob("temp*_label"):
            figure = _TEMPERATURES.get(_text(label) or "")
            if figure is not None:
                value = label.with_name(label.name.replace("_label", "_input"))
                found[figure] = (value, 1e-3)
    # A guest has files that answer with an error.
    return {name: pair for name, pair in found.items() if _number(pair[0]) is not None}


def _gpu(node: Path) -> Gpu:
    device = node / "device"
    total = _number(device / "mem_info_vram_total")
    driver = device / "driver"
    return Gpu(
        node=node.name,
        path=str(device.resolve()),
        driver=driver.resolve().name if driver.exists() else None,
        vendor=_text(device / "vendor"),
        device=_text(device / "device"),
        vram_bytes=None if total is None else int(total),
        compute_partition=_text(device / "current_compute_partition"),
        memory_partition=_text(device / "current_memory_partition"),
    )


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        with path.open(encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return None
