"""Block devices: sysfs is the truth, lsblk has to agree with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rocminfra.facts.signatures import blkid_look, wipefs_look
from rocminfra.facts.tool_output import NotUnderstood, loads_tool
from rocminfra.planning.disk_observation import Device, Finding, Identity, Look

_SECTOR = 512  # the unit of sysfs' "size", whatever the device's own
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_SCSI = re.compile(r"\d+:\d+:\d+:\d+")
_BY_ID = "/dev/disk/by-id/"


def parse_devices(seen: Mapping[str, Any]) -> tuple[Device, ...]:
    """Every block device that the probe saw.

    + seen: the document that ``host/disk_probe.py`` printed

    Raises :class:`NotUnderstood` when lsblk failed; what is wrong with one device only is in its
    ``problems``.
    """
    document = loads_tool(seen.get("lsblk"), "lsblk")
    listed = document.get("blockdevices") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise NotUnderstood("lsblk printed something unknown")
    rows = {str(row.get("maj:min", "")).strip(): row for row in listed}
    raw = seen.get("devices")
    if not isinstance(raw, dict):
        raise NotUnderstood("no block devices were read from sysfs")
    unseen = [str(row.get("name")) for n, row in rows.items() if n not in raw and row.get("size")]
    if unseen:
        raise NotUnderstood(f"lsblk lists {', '.join(unseen)}, which sysfs does not")
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
        problems.append(f"lsblk says {row.get('size')} bytes, sysfs {size}")
    content = raw.get("content")
    if isinstance(content, dict) and content.get("size", size) != size:
        problems.append(f"the device itself says {content['size']} bytes, sysfs {size}")
    kind = str(row.get("type")) if row is not None else "unknown"
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
        users=tuple(raw.get("users", ())),
        read_only=_read_only(raw, row),
        removable=raw.get("removable") == "1",
        looks=_looks(raw),
        problems=tuple(problems),
        record=json.dumps(raw, sort_keys=True),
    )


def _looks(raw: Mapping[str, Any]) -> tuple[Look, ...]:
    partitions = raw.get("parents_of") or ()
    looks = [
        Look(
            "partitions",
            Finding.DATA if partitions else Finding.BLANK,
            f"{len(partitions)} partitions" if partitions else "none",
        )
    ]
    if "blkid" in raw:
        looks += [blkid_look(raw["blkid"]), wipefs_look(raw.get("wipefs"))]
    content = raw.get("content")
    if content is None:
        return tuple(looks)
    if not isinstance(content, dict) or "error" in content or "data_at" not in content:
        error = content.get("error", "nothing read") if isinstance(content, dict) else "no answer"
        return (*looks, Look("content", Finding.UNKNOWN, str(error)))
    where = content["data_at"]
    if content.get("xfs_in_progress"):
        looks.append(Look("content", Finding.DATA, "mkfs was interrupted: XFS marked unfinished"))
    elif where is None:
        looks.append(Look("content", Finding.BLANK, "all samples are zero"))
    else:
        looks.append(Look("content", Finding.DATA, f"data at byte {where}"))
    exclusive = content.get("exclusive")
    if exclusive == "free":
        looks.append(Look("exclusive open", Finding.BLANK, "granted"))
    elif isinstance(exclusive, str) and "Errno 16" in exclusive:
        looks.append(Look("exclusive open", Finding.BUSY, "the kernel says it is busy"))
    else:
        looks.append(Look("exclusive open", Finding.UNKNOWN, str(exclusive)))
    users = raw.get("users")
    if not isinstance(users, list):
        looks.append(Look("users", Finding.UNKNOWN, "nobody looked"))
    else:
        finding = Finding.BUSY if users else Finding.BLANK
        looks.append(Look("users", finding, "; ".join(users) or "none"))
    return tuple(looks)


def _read_only(raw: Mapping[str, Any], row: Mapping[str, Any] | None) -> bool | None:
    content = raw.get("content")
    said = {raw.get("ro") == "1"}
    if row is not None:
        said.add(bool(row.get("ro")))
    if isinstance(content, dict) and "read_only" in content:
        said.add(bool(content["read_only"]))
    return True in said


def _identity(
    raw: Mapping[str, Any], row: Mapping[str, Any] | None, every: Mapping[str, Any], size: int
) -> Identity:
    # A partition is known by its disk; its own path and size tell it from its neighbours.
    disk = every.get(str(raw.get("parent")), raw)
    lsblk = row or {}
    serial = lsblk.get("serial") or disk.get("serial") or disk.get("device/serial")
    wwn = lsblk.get("wwn") or disk.get("wwid") or disk.get("device/wwid") or disk.get("dm/uuid")
    return Identity(_word(serial), _word(wwn), _address(disk), size)


def _word(text: Any) -> str | None:
    word = re.sub(r"\s+", "_", str(text or "").strip())
    return word or None


def _address(disk: Mapping[str, Any]) -> str:
    found = _PCI.findall(str(disk.get("sysfs", "")))
    if not found:
        return ""
    address = f"pci-{found[-1]}"
    if _SCSI.fullmatch(str(disk.get("address", ""))):
        address += f"-scsi-{disk['address']}"
    if disk.get("nsid"):
        address += f"-nvme-{disk['nsid']}"
    return address
