"""Wiping on purpose: with the one token that fits, and with no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_preparations import opened, partitioned
from storage_room import DISK_BYTES, Disk, Room, open_room
from storage_states import HOLDING, State

pytestmark = pytest.mark.lab


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened_room:
        yield opened_room


def with_thesis(room: Room, disk: Disk) -> None:
    room.sh(
        'mkfs.ext4 -q -L "my data" "$1"; mkdir "$2/x"; mount "$1" "$2/x"; mkdir "$2/x/deep";'
        'echo 1 > "$2/x/deep/thesis.tex"; umount "$2/x"; rmdir "$2/x"',
        disk.path,
        str(room.place),
    )


def shown_token(text: str) -> str:
    found = re.search(r"--data wipe=(\S+)", text)
    assert found is not None, text
    return found.group(1)


WIPED = tuple(
    state
    for state in HOLDING
    if state.name.startswith(("GPT", "md", "ZFS", "LUKS", "mkfs that", "random bytes at the end"))
)


@pytest.mark.parametrize("state", WIPED, ids=lambda state: state.slug)
def test_the_token_of_the_refusal_wipes_and_nothing_of_the_old_is_left(
    room: Room, state: State
) -> None:
    disk = room.disk()
    state.prepare(room, disk)
    token = shown_token(room.pyinfra(device=disk.path).text)
    run = room.pyinfra(device=disk.path, wipe=token)
    assert (run.code, run.decision) == (0, "Format"), run.text
    # Every probe has to see our file system and nothing else, or the next run would refuse.
    again = room.pyinfra(device=disk.path)
    assert (again.code, again.decision) == (0, "Keep"), again.text


def test_what_would_be_lost_is_shown_before_and_nothing_is_written_for_that(room: Room) -> None:
    disk = room.disk()
    with_thesis(room, disk)
    before = (disk.sha256(), disk.sectors_written())
    refusal = room.pyinfra(device=disk.path)
    assert "newest files: deep/thesis.tex" in refusal.text
    assert "'my data'" in refusal.text
    token = shown_token(refusal.text)
    dry = room.pyinfra("--dry", device=disk.path, wipe=token)
    assert dry.code == 0
    assert "deep/thesis.tex" in dry.text
    assert f"wipe token {token}" in dry.text
    assert (disk.sha256(), disk.sectors_written()) == before
    assert room.pyinfra(device=disk.path, wipe=token).code == 0


def test_of_a_disk_with_partitions_each_file_system_is_shown(room: Room) -> None:
    disk = room.disk()
    partitioned(room, disk, count=2)
    uuid = "0b8ae6c2-5a53-4b8a-9a52-0d8f8e6a1c11"
    room.sh(
        'mkfs.ext4 -q "$1p1"; mkfs.ext4 -q -L photos -U "$3" "$1p2"; mkdir "$2"; mount "$1p2" "$2";'
        'head -c 5000000 /dev/urandom > "$2/summer.jpg"; umount "$2"',
        disk.path,
        f"{room.place}/x",
        uuid,
    )
    before = (disk.sha256(), disk.sectors_written())
    text = room.pyinfra(device=disk.path).text
    assert "2 partitions" in text
    assert f"{disk.path}p1: " in text
    found = re.search(rf"{disk.path}p2: ([0-9]+) MiB used; newest files: summer.jpg", text)
    assert found is not None, text
    assert int(found[1]) >= 4
    for said in ("0.3 GiB", "photos", uuid):
        assert said in text
    assert (disk.sha256(), disk.sectors_written()) == before


def test_showing_what_would_be_lost_finishes_no_deletion_of_a_crashed_system(room: Room) -> None:
    # The kernel empties ext4's list of orphans at every mount, read-only ones included, unless the
    # device itself cannot be written.
    disk = room.disk()
    with_thesis(room, disk)
    room.sh(
        'inode=$(debugfs -R "stat /deep/thesis.tex" "$1" 2>/dev/null '
        '| sed -n "s/^Inode: *\\([0-9]*\\).*/\\1/p");'
        'for change in "sif <$inode> links_count 0" "ssv last_orphan $inode"; do '
        'debugfs -w -R "$change" "$1" 2>/dev/null; done; dumpe2fs -h "$1" 2>/dev/null '
        '| grep -q "First orphan inode"',
        disk.path,
    )
    before = (disk.sha256(), disk.sectors_written())
    refusal = room.pyinfra(device=disk.path)
    assert "would be lost" in refusal.text
    assert (disk.sha256(), disk.sectors_written()) == before


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("another:{disk}:no-address+{size}", "is for another host than @local"),
        ("@local:/dev/vdz:no-address+{size}", "is for another disk of @local"),
        ("@local:{disk}:SERIAL123", "is for another disk at"),
        ("@local:{disk}", "is for another disk of @local"),
        ('["another:{disk}:x", "@local:{disk}:y"]', "is for another host than @local"),
    ],
)
def test_a_token_for_something_else_is_refused(room: Room, token: str, says: str) -> None:
    disk = room.disk()
    with_thesis(room, disk)
    before = (disk.sha256(), disk.sectors_written())
    wipe = token.replace("{disk}", disk.path).replace("{size}", str(DISK_BYTES))
    run = room.pyinfra(device=disk.path, wipe=wipe)
    assert run.code == 1
    assert says in run.text
    assert (disk.sha256(), disk.sectors_written()) == before


def test_no_token_helps_while_the_disk_is_used(room: Room) -> None:
    disk = room.disk()
    with_thesis(room, disk)
    token = shown_token(room.pyinfra(device=disk.path).text)
    opened(room, disk)
    before = (disk.sha256(), disk.sectors_written())
    run = room.pyinfra(device=disk.path, wipe=token)
    assert run.code == 1
    assert "is in use" in run.text
    assert (disk.sha256(), disk.sectors_written()) == before
