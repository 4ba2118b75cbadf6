"""Block devices: sysfs is authoritative, and lsblk must agree with it."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from typing import Any

from rocminfra.facts.signatures import blkid_look, partition_entry, wipefs_look
from rocminfra.facts.tool_output import NotUnderstood, loads_tool
from rocminfra.planning.disk.observation import INTERRUPTED, Device, Finding, Identity, Look

_SECTOR = 512  # unit of "size" in sysfs, independent of the device's sector size
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_SCSI = re.compile(r"\d+:\d+:\d+:\d+")
_BY_ID = "/dev/disk/by-id/"
_CONTENT_KEYS = {"size", "read_only", "data_at", "exclusive", "users", "xfs_in_progress"}


def parse_devices(seen: Mapping[str, Any]) -> tuple[Device, ...]:
    """Every block device that the probe saw.

    + seen: document printed by ``host/sent/disk_probe.py``

    Raises :class:`NotUnderstood` when lsblk failed. Problems with a single device are in its
    ``problems``.
    """
    document = loads_tool(seen.get("lsblk"), "lsblk")
    listed = document.get("blockdevices") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise NotUnderstood("lsblk printed unexpected output")
    rows = {str(row.get("maj:min", "")).strip(): row for row in listed}
    raw = seen.get("devices")
    if not isinstance(raw, dict):
        raise NotUnderstood("no block devices were read from sysfs")
    # Loop devices come and go; every other device must be in both lists.
    missing = [row for n, row in rows.items() if n not in raw and row.get("size")]
    unseen = [str(row.get("name")) for row in missing if row.get("type") != "loop"]
    if unseen:
        raise NotUnderstood(f"lsblk lists {', '.join(unseen)}, but sysfs does not")
    return tuple(_device(n, raw[n], rows.get(n), raw) for n in sorted(raw, key=_order))


def _order(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split(":"))


def _device(
    number: str, raw: Mapping[str, Any], row: Mapping[str, Any] | None, every: Mapping[str, Any]
) -> Device:
    name = str(raw["name"])
    path = "/dev/" + name.replace("!", "/")
    size = int(raw["size"]) * _SECTOR
    problems = []
    if raw.get("node") != number:
        problems.append(f"{path} is {raw.get('node') or 'no block device'}, not {number}")
    if row is None:
        problems.append(f"sysfs lists {name}, which lsblk does not")
    elif row.get("size") != size:
        problems.append(f"lsblk reports {row.get('size')} bytes, sysfs {size}")
    content = _content(raw)
    if isinstance(content, dict) and content["size"] != size:
        problems.append(f"the device itself reports {content['size']} bytes, sysfs {size}")
    if raw.get("parent") is not None and raw["parent"] not in every:
        problems.append(f"the disk of {path} is unknown")
    kind = str(row.get("type")) if row is not None else "unknown"
    part = partition_entry(raw.get("blkid"))
    return Device(
        number=number,
        name=name,
        path=path,
        kind=kind,
        size=size,
        identity=_identity(raw, row, every, size),
        by_id=tuple(link for link in raw.get("links", ()) if link.startswith(_BY_ID)),
        parent=raw.get("parent"),
        slaves=tuple(raw.get("slaves", ())),
        holders=tuple(raw.get("holders", ())),
        users=tuple(content["users"]) if isinstance(content, dict) else (),
        read_only=_read_only(raw, row, content),
        removable=raw.get("removable") == "1",
        looks=_looks(raw, content),
        problems=tuple(problems),
        part_uuid=part.get("PART_ENTRY_UUID"),
        part_label=part.get("PART_ENTRY_NAME"),
        record=json.dumps(_family(number, raw, every), sort_keys=True),
    )


def _family(
    number: str, raw: Mapping[str, Any], every: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Everything read about a device, its disk, and all partitions of that disk."""
    disk = raw.get("parent") or number
    return {n: r for n, r in every.items() if n in (number, disk) or r.get("parent") == disk}


def _content(raw: Mapping[str, Any]) -> dict[str, Any] | str | None:
    """What ``host/sent/disk_content.py`` saw, why it failed, or None when it did not run."""
    if "content" not in raw:
        return None
    try:
        seen = loads_tool(raw["content"], "look into the device")
    except NotUnderstood as error:
        return str(error)
    if not isinstance(seen, dict) or not set(seen) >= _CONTENT_KEYS:
        reason = seen.get("error") if isinstance(seen, dict) else None
        return f"the device cannot be read: {reason or 'unknown answer'}"
    if not isinstance(seen["users"], list) or not isinstance(seen["size"], int):
        return "the device cannot be read: unknown answer"
    return seen


def _looks(raw: Mapping[str, Any], content: dict[str, Any] | str | None) -> tuple[Look, ...]:
    partitions = raw.get("partitions") or ()
    finding = Finding.DATA if partitions else Finding.BLANK
    looks = [Look("partitions", finding, f"{len(partitions)} partitions")]
    if "blkid" in raw:
        looks += [blkid_look(raw["blkid"]), wipefs_look(raw.get("wipefs"))]
    if content is None:
        return tuple(looks)
    if isinstance(content, str):
        return (*looks, Look("content", Finding.UNKNOWN, content))
    looks += [_samples(content), _exclusive(content["exclusive"])]
    users = content["users"]
    finding = Finding.BUSY if users else Finding.BLANK
    return (*looks, Look("users", finding, "; ".join(map(str, users)) or "none"))


def _samples(content: Mapping[str, Any]) -> Look:
    where = content["data_at"]
    if where is None:
        return Look("content", Finding.BLANK, "all samples are zero")
    if content["xfs_in_progress"]:
        return Look("content", Finding.DATA, f"{INTERRUPTED}: XFS is marked as unfinished")
    return Look("content", Finding.DATA, f"data at byte {where}")


def _exclusive(answer: Any) -> Look:
    if answer == "free":
        return Look("exclusive open", Finding.BLANK, "granted")
    if isinstance(answer, str) and answer.startswith(f"[Errno {errno.EBUSY}]"):
        return Look("exclusive open", Finding.BUSY, "the kernel says it is busy")
    return Look("exclusive open", Finding.UNKNOWN, str(answer))


def _read_only(
    raw: Mapping[str, Any], row: Mapping[str, Any] | None, content: dict[str, Any] | str | None
) -> bool:
    said = [raw.get("ro") == "1", bool((row or {}).get("ro"))]
    if isinstance(content, dict):
        said.append(bool(content["read_only"]))
    return any(said)


def _identity(
    raw: Mapping[str, Any], row: Mapping[str, Any] | None, every: Mapping[str, Any], size: int
) -> Identity:
    # A partition is identified by its disk; path and size distinguish it from its neighbours.
    disk = every.get(str(raw.get("parent")), raw)
    lsblk = row or {}
    serial = lsblk.get("serial") or disk.get("serial") or disk.get("device/serial")
    wwn = lsblk.get("wwn") or disk.get("wwid") or disk.get("device/wwid")
    wwn = wwn or disk.get("dm/uuid") or disk.get("md/uuid")
    return Identity(_word(serial), _word(wwn), _address(disk), size)


def _word(text: Any) -> str | None:
    word = re.sub(r"\s+", "_", str(text or "").strip())
    return word or None


def _address(disk: Mapping[str, Any]) -> str:
    sysfs = str(disk.get("sysfs", ""))
    found = _PCI.findall(sysfs)
    if not found:
        # Buses other than PCI (Xen, Hyper-V, ARM platforms); a virtual device has no address.
        place = re.fullmatch(r"/sys/devices/(?!virtual/)(.+)/block/.*", sysfs)
        return f"sysfs-{place.group(1)}" if place else ""
    address = f"pci-{found[-1]}"
    if _SCSI.fullmatch(str(disk.get("address", ""))):
        address += f"-scsi-{disk['address']}"
    if disk.get("nsid"):
        address += f"-nvme-{disk['nsid']}"
    return address
