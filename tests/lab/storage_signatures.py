"""Signatures written by hand, for what cannot be installed here: each as its own tools read it.

Structures: UEFI 2.10 section 5 (GPT), LUKS1 on-disk format 1.2.3, LVM2 ``label.h``, Linux
``md_p.h`` (version 1.2), OpenZFS ``uberblock_impl.h``, Btrfs ``btrfs_tree.h``.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence

from storage_room import Disk

SECTOR = 512
LINUX_DATA = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")


def gpt(disk: Disk, size: int, parts: Sequence[tuple[int, int]]) -> None:
    """A partition table with partitions from the first to the last sector of each pair."""
    last = size // SECTOR - 1
    entries = bytearray(128 * 128)
    for index, (first, end) in enumerate(parts):
        struct.pack_into(
            "<16s16sQQQ72s",
            entries,
            index * 128,
            LINUX_DATA.bytes_le,
            uuid.uuid5(uuid.NAMESPACE_DNS, str(index)).bytes_le,
            first,
            end,
            0,
            f"data{index}".encode("utf-16le"),
        )

    def header(here: int, other: int, table: int) -> bytes:
        text = bytearray(92)
        name = uuid.uuid5(uuid.NAMESPACE_DNS, "disk").bytes_le
        fields = (b"EFI PART", 0x10000, 92, 0, 0, here, other, 34, last - 33, name, table, 128, 128)
        struct.pack_into("<8sIIIIQQQQ16sQIII", text, 0, *fields, zlib.crc32(bytes(entries)))
        struct.pack_into("<I", text, 16, zlib.crc32(bytes(text)))
        return bytes(text)

    disk.write(0, _boot_record(0xEE, 1, last))
    disk.write(SECTOR, header(1, last, 2))
    disk.write(2 * SECTOR, bytes(entries))
    disk.write((last - 32) * SECTOR, bytes(entries))
    disk.write(last * SECTOR, header(last, 1, last - 32))


def mbr(disk: Disk, size: int) -> None:
    """A DOS partition table with one partition."""
    disk.write(0, _boot_record(0x83, 2048, size // SECTOR - 2048))


def luks(disk: Disk) -> None:
    """The header of an encrypted volume."""
    header = bytearray(4096)
    fields = (b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256")
    struct.pack_into(">6sH32s32s32s", header, 0, *fields)
    header[168:208] = b"7d0e4f0a-92a1-4c3e-8f9b-0c7f5a1b2c3d".ljust(40, b"\0")
    disk.write(0, bytes(header))


def lvm(disk: Disk, size: int) -> None:
    """The label of a physical volume."""
    label = bytearray(SECTOR)
    struct.pack_into("<8sQII8s", label, 0, b"LABELONE", 1, 0, 32, b"LVM2 001")
    label[32:64] = b"abcdefghijklmnopqrstuvwxyz012345"
    struct.pack_into("<Q", label, 64, size)
    struct.pack_into("<I", label, 16, _crc(bytes(label[20:]), 0xEDB88320, 0xF597A6CF))
    disk.write(SECTOR, bytes(label))


def md(disk: Disk, size: int) -> None:
    """The superblock of a member of a mirror."""
    block = bytearray(256)
    name = uuid.uuid5(uuid.NAMESPACE_DNS, "md").bytes
    fields = (0xA92B4EFC, 1, 0, 0, name, b"host:0", 0, 1, 0, size // SECTOR - 16, 0, 2)
    struct.pack_into("<IIII16s32sQIIQII", block, 0, *fields)
    struct.pack_into("<QQQQ", block, 128, 2048, size // SECTOR - 2048, 8, 0)
    total = sum(struct.unpack("<64I", bytes(block)))
    struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    disk.write(4096, bytes(block))


def zfs(disk: Disk) -> None:
    """The uberblocks of a pool's member. ZFS cannot be installed here: a written label."""
    for index in range(8):
        block = struct.pack("<QQQQQ", 0x00BAB10C, 5000, 4, 1, 1700000000)
        disk.write(131072 + index * 1024, block)


def btrfs(disk: Disk, size: int) -> None:
    """The superblock of a file system with more than one device."""
    block = bytearray(4096)
    name = uuid.uuid5(uuid.NAMESPACE_DNS, "btrfs").bytes
    struct.pack_into("<16sQQ8sQ", block, 32, name, 65536, 1, b"_BHRfS_M", 1)
    struct.pack_into("<QQQQ", block, 0x70, size, 4096, 6, 2)
    struct.pack_into("<III", block, 0x90, 4096, 16384, 16384)
    crc = _crc(bytes(block[32:]), 0x82F63B78, 0xFFFFFFFF) ^ 0xFFFFFFFF
    struct.pack_into("<I", block, 0, crc)
    disk.write(65536, bytes(block))


def _boot_record(kind: int, first: int, count: int) -> bytes:
    record = bytearray(SECTOR)
    struct.pack_into("<I", record, 440, 0x12345678)
    fields = (0, b"\0\2\0", kind, b"\xff\xff\xff", first, count)
    struct.pack_into("<B3sB3sII", record, 446, *fields)
    record[510:] = b"\x55\xaa"
    return bytes(record)


def _crc(data: bytes, polynomial: int, value: int) -> int:
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return value
