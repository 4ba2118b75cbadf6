"""The probe's document, read: whatever is missing or contradicts itself is unknown, never blank."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from rocminfra.facts.disks import Disks, parse
from rocminfra.planning.disk.decide import Format, Refuse, decide
from rocminfra.planning.disk.observation import PROBES, Desired, Finding

GIB = 1024**3


def ran(out: str, rc: int = 0) -> dict[str, Any]:
    return {"rc": rc, "out": out, "err": ""}


def sysfs(name: str, number: str, size: int, **more: Any) -> dict[str, Any]:
    """What the probe reads of one device of a virtio host."""
    keys = ("partition", "serial", "wwid", "nsid", "device/serial", "device/wwid", "dm/uuid")
    return {
        **dict.fromkeys((*keys, "dm/name", "md/uuid", "loop/backing_file", "parent")),
        "name": name,
        "sysfs": f"/sys/devices/pci0000:00/0000:00:06.0/virtio3/block/{name}",
        "size": str(size // 512),
        "ro": "0",
        "removable": "0",
        "diskseq": "9",
        "address": "virtio3",
        "holders": [],
        "slaves": [],
        "partitions": [],
        "links": [],
        "mounted": [],
        "swap": False,
        "node": number,
        **more,
    }


def row(name: str, number: str, size: int, kind: str = "disk", **more: Any) -> dict[str, Any]:
    """What lsblk says of it."""
    basic = {"name": name, "maj:min": number, "type": kind, "size": size, "ro": False}
    return {**basic, "serial": None, "wwn": None, **more}


BLANK = {
    "blkid": ran("", rc=2),
    "wipefs": ran('{"signatures": []}'),
    "content": ran(
        json.dumps(
            {
                "size": 5120 * GIB,
                "read_only": False,
                "data_at": None,
                "exclusive": "free",
                "users": [],
                "xfs_in_progress": None,
            }
        )
    ),
}
SCRATCH = sysfs("vdc", "252:32", 5120 * GIB, **BLANK)
ROOT = sysfs("vda", "252:0", 720 * GIB, mounted=["/"])
DOCUMENT: dict[str, Any] = {
    "euid": 0,
    "tools": {"mkfs.xfs": "/usr/sbin/mkfs.xfs"},
    "lsblk": ran(
        json.dumps(
            {"blockdevices": [row("vda", "252:0", 720 * GIB), row("vdc", "252:32", 5120 * GIB)]}
        )
    ),
    "findmnt": ran(json.dumps({"filesystems": [{"target": "/", "maj:min": "252:0"}]})),
    "mountinfo": {"text": "27 1 252:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"},
    "swaps": {"text": "Filename\tType\tSize\tUsed\tPriority\n"},
    "fstab": {"text": "# comment\n/dev/vda / ext4 defaults 0 1\n"},
    "mount_point": {"exists": False, "real": "/mnt/models"},
    "nodes": {"/dev/vda": "252:0"},
    "devices": {"252:0": ROOT, "252:32": SCRATCH},
}


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


def content(**changes: Any) -> dict[str, Any]:
    return ran(json.dumps({**json.loads(BLANK["content"]["out"]), **changes}))


def test_a_blank_disk_of_a_virtio_host() -> None:
    observed = parse(DOCUMENT)
    assert not observed.problems
    device = observed.device("252:32")
    assert device is not None
    assert {device.look(probe).finding for probe in PROBES} == {Finding.BLANK}
    assert str(device.identity) == f"pci-0000:00:06.0+{5120 * GIB}"
    decision = decide(observed, Desired("mi300x-1"))
    assert isinstance(decision, Format)
    assert [str(item) for item in decision.rejected] == [
        "/dev/vda: it is part of what is mounted at /"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("lsblk"),
        lambda d: d.update(lsblk=ran("", rc=1)),
        lambda d: d.update(lsblk=ran("{")),
        lambda d: d.update(lsblk=ran("[]")),
        lambda d: d.update(lsblk={"rc": None, "out": "", "err": "not installed"}),
        lambda d: d.update(findmnt=ran("", rc=1)),
        lambda d: d.update(findmnt=ran('{"filesystems": []}')),
        lambda d: d.update(findmnt=ran('{"filesystems": [3]}')),
        lambda d: d.update(mountinfo={"error": "no"}),
        lambda d: d.update(mountinfo={"text": "garbage\n"}),
        lambda d: d.update(swaps={"error": "no"}),
        lambda d: d.update(swaps={"text": "head\n/dev/gone partition 1 0 -2\n"}),
        lambda d: d.update(fstab={"error": "permission denied"}),
        lambda d: d.update(fstab={"text": "oneword\n"}),
        lambda d: d.update(mount_point={"error": "no answer within 20 s"}),
        lambda d: d.pop("mount_point"),
        lambda d: d.update(devices=[]),
        lambda d: d["devices"].pop("252:32"),
        lambda d: d["devices"]["252:32"].pop("name"),
        lambda d: d["devices"]["252:32"].update(size="x"),
        lambda d: d.update(euid=1000),
        lambda d: d.pop("tools"),
    ],
)
def test_a_host_that_cannot_be_observed_is_refused(change: Callable[[Any], object]) -> None:
    observed = parse(changed(change))
    assert observed.problems
    assert isinstance(decide(observed, Desired("mi300x-1")), Refuse)


@pytest.mark.parametrize(
    "change",
    [
        {"blkid": {"rc": None, "out": "", "err": "no answer within 20 s"}},
        {"blkid": None},
        {"wipefs": ran("", rc=1)},
        {"wipefs": None},
        {"content": None},
        {"content": ran("", rc=1)},
        {"content": ran('{"error": "[Errno 5] Input/output error"}')},
        {"content": ran("{}")},
        {"content": {"rc": None, "out": "", "err": "no answer within 90 s"}},
        {"content": content(data_at=0)},
        {"content": content(data_at=5120 * GIB - 1)},
        {"content": content(size=5120 * GIB - 512)},
        {"content": content(exclusive="[Errno 16] Device or resource busy: '/dev/vdc'")},
        {"content": content(exclusive="[Errno 5] Input/output error")},
        {"content": content(exclusive=None)},
        {"content": content(read_only=True)},
        {"content": content(users=["opened by qemu (pid 7)"])},
        {"content": content(users=None)},
        {"holders": ["dm-0"]},
        {"ro": "1"},
        {"node": "252:48"},
        {"node": None},
        {"size": "1024"},
        {"partitions": ["252:33", "252:34"]},
        {"removable": "1"},
    ],
)
def test_one_thing_that_is_not_right_about_a_blank_disk(change: dict[str, Any]) -> None:
    document = changed(lambda d: d["devices"]["252:32"].update(change))
    assert isinstance(decide(parse(document), Desired("mi300x-1")), Refuse)
    named = changed(lambda d: d["nodes"].update({"/dev/vdc": "252:32"}))
    named["devices"]["252:32"].update(change)
    if change != {"removable": "1"}:
        assert isinstance(decide(parse(named), Desired("mi300x-1", "/dev/vdc")), Refuse)


@pytest.mark.parametrize(
    ("raw", "lsblk", "identity"),
    [
        ({"serial": "SCRATCH 1"}, {}, "SCRATCH_1"),
        ({}, {"serial": "S1", "wwn": "0x5000c500"}, "0x5000c500"),
        ({"wwid": "eui.0025388", "device/serial": "S5XX   ", "nsid": "1"}, {}, "eui.0025388"),
        ({"device/serial": "S5XX   ", "nsid": "1"}, {}, "S5XX"),
        (
            {"address": "2:0:0:1"},
            {},
            f"pci-0000:00:06.0-scsi-2:0:0:1+{5120 * GIB}",
        ),
        (
            {"sysfs": "/sys/devices/vbd-51728/block/vdc"},
            {},
            f"sysfs-vbd-51728+{5120 * GIB}",
        ),
        ({"sysfs": "/sys/devices/virtual/block/vdc"}, {}, f"no-address+{5120 * GIB}"),
    ],
)
def test_identity(raw: dict[str, Any], lsblk: dict[str, Any], identity: str) -> None:
    document = changed(lambda d: d["devices"]["252:32"].update(raw))
    rows = [row("vda", "252:0", 720 * GIB), row("vdc", "252:32", 5120 * GIB, **lsblk)]
    document["lsblk"] = ran(json.dumps({"blockdevices": rows}))
    device = parse(document).device("252:32")
    assert device is not None
    assert str(device.identity) == identity


def test_the_command_is_the_same_text_for_the_same_arguments_and_never_fails() -> None:
    command = Disks().command(device="auto", mount_point="/mnt/it's")
    assert command == Disks().command(device="auto", mount_point="/mnt/it's")
    assert command.partition("\n); rocminfra_status")[0].endswith(
        '|| echo "disk probe: exit code $?"'
    )


@pytest.mark.parametrize(
    "output", [["disk probe: exit code 127"], ["[1]"], ["null"], ["Traceback", "KeyError: 'x'"]]
)
def test_an_answer_that_is_no_document(output: list[str]) -> None:
    assert Disks().process(output).problems
    assert Disks.default().problems
