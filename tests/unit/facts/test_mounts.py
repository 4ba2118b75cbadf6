"""Mounts, as the kernel lists them."""

from __future__ import annotations

from rocminfra.facts.mounts import parse_mountinfo


def test_mounts_are_known_by_their_number_and_btrfs_by_its_source() -> None:
    text = (
        "30 22 252:32 / /mnt/with\\040space\\134x rw,noatime shared:1 - xfs /dev/vdc rw,inode64\n"
        "31 22 0:45 /sub /data rw - btrfs /dev/vdd rw,subvol=/sub\n"
        "32 22 252:48 / /ro ro,relatime - ext4 /dev/vde rw\n"
    )
    mounts = parse_mountinfo(text, {"252:32", "252:48", "252:64"}, {"/dev/vdd": "252:64"})
    assert [(m.number, m.root, m.target, m.kind) for m in mounts] == [
        ("252:32", "/", "/mnt/with space\\x", "xfs"),
        ("252:64", "/sub", "/data", "btrfs"),
        ("252:48", "/", "/ro", "ext4"),
    ]
    assert mounts[0].options == ("rw", "noatime", "inode64")
    assert mounts[2].options == ("ro", "relatime")
