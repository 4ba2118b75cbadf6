"""Block devices: lsblk and sysfs must agree; whole hosts are in test_disks.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rocminfra.facts.block_devices import parse_devices
from rocminfra.facts.tool_output import NotUnderstood


def lsblk(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"rc": 0, "out": json.dumps({"blockdevices": list(rows)}), "err": ""}


ROW = {"name": "vdc", "maj:min": "252:32", "size": 1 << 40, "type": "disk"}


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ({}, "lsblk did not run"),
        ({"lsblk": {"rc": 1, "out": "", "err": "no /sys"}}, "lsblk: exit code 1, no /sys"),
        ({"lsblk": {"rc": 0, "out": "[]", "err": ""}}, "unexpected output"),
        ({"lsblk": lsblk(ROW)}, "no block devices were read from sysfs"),
        ({"lsblk": lsblk(ROW), "devices": {}}, "lsblk lists vdc, but sysfs does not"),
    ],
)
def test_a_look_that_cannot_be_trusted_is_refused_as_a_whole(
    seen: dict[str, Any], says: str
) -> None:
    with pytest.raises(NotUnderstood, match=says):
        parse_devices(seen)


def test_a_loop_device_that_has_just_gone_is_no_disagreement() -> None:
    gone = {**ROW, "name": "loop7", "maj:min": "7:7", "type": "loop"}
    assert parse_devices({"lsblk": lsblk(gone), "devices": {}}) == ()
