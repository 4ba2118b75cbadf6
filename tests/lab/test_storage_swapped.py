"""Another disk, or another state of it, between plan and apply: nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_preparations import came_back_blank, ours, partitioned
from storage_room import Room, open_room

from rocminfra.planning.disk.decide import Format, Mount

pytestmark = pytest.mark.lab


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened:
        yield opened


def test_data_that_appears_between_plan_and_apply_is_not_overwritten(room: Room) -> None:
    disk = room.disk()
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Format)
    room.sh('mkfs.ext4 -q "$1"', disk.path)
    before = disk.sha256()
    run = room.act(commands[0])
    assert run.returncode == 1
    assert "has changed since the decision" in run.stderr
    assert "wipefs: was" in run.stderr
    assert disk.sha256() == before


def test_another_disk_under_the_same_name_is_not_formatted(room: Room) -> None:
    """Same name, same number, same size, blank as well: only that it was attached again differs."""
    disk = room.disk()
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Format)
    room.detach(disk)
    disk.image.unlink()
    other = room.disk(path=disk.path)
    run = room.act(commands[0])
    assert run.returncode == 1
    assert "diskseq" in run.stderr
    assert other.read(0, 4096) == bytes(4096)


def test_a_partition_of_another_disk_under_the_same_name_is_not_formatted(room: Room) -> None:
    disk = room.disk()
    path = partitioned(room, disk)
    decision, commands = room.plan(path)
    assert isinstance(decision, Format)
    room.detach(disk)
    disk.image.unlink()
    other = room.disk(path=disk.path)
    partitioned(room, other)
    before = (other.sha256(), other.sectors_written())
    run = room.act(commands[0])
    assert run.returncode == 1
    assert f"{other.name} diskseq" in run.stderr
    assert (other.sha256(), other.sectors_written()) == before


def test_a_process_that_opens_the_whole_disk_keeps_its_partition_from_being_formatted(
    room: Room,
) -> None:
    disk = room.disk()
    path = partitioned(room, disk)
    decision, commands = room.plan(path)
    assert isinstance(decision, Format)
    room.start('exec 3<"$1"; echo ready; exec cat', disk.path)
    before = (disk.sha256(), disk.sectors_written())
    run = room.act(commands[0])
    assert run.returncode == 1
    assert "opened by" in run.stderr
    assert (disk.sha256(), disk.sectors_written()) == before


def test_a_partition_that_is_opened_keeps_its_disk_from_being_wiped(room: Room) -> None:
    disk = room.disk()
    partitioned(room, disk, count=2)
    refusal, _ = room.plan(disk.path)
    decision, commands = room.plan(disk.path, wipe=(getattr(refusal, "token", ""),))
    assert isinstance(decision, Format)
    room.start('exec 3<"$1"; echo ready; exec cat', f"{disk.path}p2")
    before = (disk.sha256(), disk.sectors_written())
    run = room.act(commands[0])
    assert run.returncode == 1
    assert "opened by" in run.stderr
    assert (disk.sha256(), disk.sectors_written()) == before


def test_another_file_system_under_the_same_name_is_not_mounted(room: Room) -> None:
    disk = room.disk()
    came_back_blank(room, disk)
    ours(room, disk)
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Mount)
    room.detach(disk)
    disk.image.unlink()
    other = room.disk(path=disk.path)
    room.sh('mkfs.xfs -q -L precious "$1"', other.path)
    before = (other.sha256(), other.sectors_written())
    runs = [room.act(command) for command in commands]
    assert "no longer holds file system" in "".join(run.stderr for run in runs)
    assert runs[-1].returncode == 1
    assert (other.sha256(), other.sectors_written()) == before


def test_a_disk_that_is_mounted_between_plan_and_apply_is_left_alone(room: Room) -> None:
    disk = room.disk()
    room.sh('mkfs.xfs -q "$1"', disk.path)
    refusal, _ = room.plan(disk.path)
    decision, commands = room.plan(disk.path, wipe=(getattr(refusal, "token", ""),))
    assert isinstance(decision, Format)
    room.sh('mkdir "$2"; mount "$1" "$2"; touch "$2/precious"', disk.path, f"{room.place}/x")
    assert room.act(commands[0]).returncode == 1
    assert room.sh('ls "$1"', f"{room.place}/x") == "precious\n"


def test_fstab_that_changes_between_plan_and_apply_is_left_alone(room: Room) -> None:
    disk = room.disk()
    _, commands = room.plan(disk.path)
    for command in commands[:2]:
        room.sh(command)
    room.sh("echo '/dev/x /x ext4 defaults 0 0' >> /etc/fstab")
    before = room.fstab()
    run = room.act(commands[2])
    assert run.returncode == 1
    assert "has changed since" in run.stderr
    assert room.fstab() == before
