"""The disks of a host, as the choice of a scratch disk needs them, in one command."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rocminfra.facts.block_devices import parse_devices
from rocminfra.facts.fstab import parse_fstab
from rocminfra.facts.host_fact import HostFact
from rocminfra.facts.mounts import check_findmnt, parse_mountinfo
from rocminfra.facts.tool_output import NotUnderstood, text_of
from rocminfra.host.programs import call, source
from rocminfra.planning.disk.observation import Device, MountPoint, Observed


class Disks(HostFact[Observed]):
    """Block devices, signatures, mounts, fstab, swap, users and the mount point.

    Reads only. What could not be read is in ``problems`` of the record or of the device: this fact
    never fails a host.

    .. code:: python

        host.get_fact(Disks, device="auto", mount_point="/mnt/models")
    """

    def command(self, device: str, mount_point: str) -> str:
        """Shell command; the same arguments give the same text.

        + device: ``auto`` or the path of a block device
        + mount_point: where the scratch disk belongs
        """
        request = json.dumps({"device": device, "mount_point": mount_point}, sort_keys=True)
        probe = call("disk_probe", request, source("disk_content"))
        return f'{probe} || echo "disk probe: exit code $?"'

    @staticmethod
    def default() -> Observed:
        """What is known when the command printed nothing: nothing."""
        return _unknown("the probe printed nothing (is python3 installed?)")

    def process(self, output: list[str]) -> Observed:
        """Read the probe's document."""
        try:
            seen = json.loads(output[-1])
        except ValueError:
            return _unknown("; ".join(output[-3:]))
        return parse(seen)


def parse(seen: Any) -> Observed:
    """The record of what ``host/sent/disk_probe.py`` printed."""
    if not isinstance(seen, dict):
        return _unknown("the probe printed no document")
    if seen.get("euid") != 0:
        return _unknown("disks can only be looked at as root: log in as root, or use sudo (--sudo)")
    try:
        nodes = seen.get("nodes", {})
        devices = parse_devices(seen)
        numbers = {device.number for device in devices}
        mounts = parse_mountinfo(text_of(seen.get("mountinfo"), "mountinfo"), numbers, nodes)
        check_findmnt(seen.get("findmnt"), mounts, numbers)
        fstab = text_of(seen.get("fstab"), "/etc/fstab")
        return Observed(
            devices=devices,
            mounts=mounts,
            swaps=_swaps(text_of(seen.get("swaps"), "/proc/swaps"), nodes, devices),
            fstab=parse_fstab(fstab, nodes),
            mount_point=_mount_point(seen.get("mount_point")),
            nodes=tuple(sorted(nodes.items())),
            fstab_sha256=hashlib.sha256(fstab.encode("utf-8", "surrogateescape")).hexdigest(),
            tools=tuple(name for name, path in sorted(seen["tools"].items()) if path),
        )
    except NotUnderstood as error:
        return _unknown(str(error))
    except (KeyError, TypeError, ValueError) as error:
        return _unknown(f"the probe printed something unknown: {error!r}")


def _unknown(problem: str) -> Observed:
    return Observed((), (), (), (), MountPoint(False, ""), problems=(problem,))


def _swaps(text: str, nodes: dict[str, str | None], devices: tuple[Device, ...]) -> tuple[str, ...]:
    areas = [line.split()[0].replace("\\040", " ") for line in text.split("\n")[1:] if line]
    numbers = []
    for area in areas:
        number = nodes.get(area)
        if number is None and area.startswith("/dev/"):
            raise NotUnderstood(f"swap area {area} is not a visible block device")
        if number is not None:
            numbers.append(number)
    return tuple(numbers)


def _mount_point(seen: Any) -> MountPoint:
    if not isinstance(seen, dict) or "error" in seen:
        reason = seen.get("error") if isinstance(seen, dict) else "not looked at"
        raise NotUnderstood(f"the mount point cannot be looked at: {reason}")
    if not seen["exists"]:
        return MountPoint(False, seen["real"])
    return MountPoint(
        exists=True,
        real=seen["real"],
        folder=seen["folder"],
        count=seen.get("count", 0),
        names=tuple(seen.get("names", ())),
        mode=seen["mode"],
        owner=seen["owner"],
        immutable=seen["immutable"],
        sentinel=seen.get("sentinel"),
    )
