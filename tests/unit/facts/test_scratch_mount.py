"""What is mounted at a path."""

from __future__ import annotations

import json

from rocminfra.facts.scratch_mount import ScratchMountStatus

MOUNT = {
    "source": "/dev/vdc",
    "fstype": "xfs",
    "options": "rw,noatime",
    "size": 100,
    "used": 10,
    "avail": 90,
}


def test_the_last_of_stacked_mounts_is_what_programs_see() -> None:
    text = json.dumps({"filesystems": [{**MOUNT, "source": "/dev/vdb"}, MOUNT]})
    mount = ScratchMountStatus().process([text, "", "u-1"])
    assert mount is not None
    assert (mount.device, mount.options, mount.uuid) == ("/dev/vdc", ("rw", "noatime"), "u-1")


def test_nothing_mounted_and_nobodys_mark() -> None:
    assert ScratchMountStatus().process([""]) is None
    mount = ScratchMountStatus().process([json.dumps({"filesystems": [MOUNT]})])
    assert mount is not None
    assert mount.uuid is None


def test_its_arguments_are_quoted() -> None:
    assert "'/a b'" in str(ScratchMountStatus().command("/a b"))
