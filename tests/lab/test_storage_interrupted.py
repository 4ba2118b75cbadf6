"""Stopped anywhere, swapped at any moment: the same end, or a refusal that says how to go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_room import Disk, Room, open_room
from storage_states import UUID, came_back_blank, done, full

from rocminfra.planning.disk import Format, Keep

pytestmark = pytest.mark.lab
# The format and the five steps after it.
COMMANDS = 6


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened:
        yield opened


def finish(room: Room, disk: Disk) -> None:
    """Run again; where that is refused, pass the token that the refusal shows."""
    run = room.pyinfra(device=disk.path)
    if run.code != 0:
        found = re.search(r"--data wipe='([^']+)'", run.text)
        assert found is not None, run.text
        run = room.pyinfra(device=disk.path, wipe=found.group(1))
    assert run.code == 0, run.text
    decision, _ = room.plan(disk.path)
    assert isinstance(decision, Keep)
    assert decision.uuid == UUID
    assert room.fstab().count(room.mount_point) == 1
    assert room.fstab().startswith("# before us\n")


@pytest.mark.parametrize("stop", range(COMMANDS))
def test_stopped_between_two_commands(room: Room, stop: int) -> None:
    disk = room.disk()
    came_back_blank(room, disk)
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Format)
    assert len(commands) == COMMANDS
    for command in commands[:stop]:
        room.sh(command)
    finish(room, disk)


# The look before mkfs takes a tenth of a second or two: some of these hit it, some mkfs itself.
@pytest.mark.parametrize(
    ("stop", "delay_ms"),
    [*((0, delay) for delay in (120, 170, 220, 270)), *((stop, 60) for stop in range(1, COMMANDS))],
)
def test_killed_in_the_middle_of_a_command(room: Room, stop: int, delay_ms: int) -> None:
    disk = room.disk()
    came_back_blank(room, disk)
    _, commands = room.plan(disk.path)
    for command in commands[:stop]:
        room.sh(command)
    process = subprocess.Popen(
        room.command("sh", "-c", commands[stop]), start_new_session=True, stderr=subprocess.DEVNULL
    )
    time.sleep(delay_ms / 1000)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finish(room, disk)


def test_data_that_appears_between_plan_and_apply_is_not_overwritten(room: Room) -> None:
    disk = room.disk()
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Format)
    room.sh('mkfs.ext4 -q "$1"', disk.path)
    before = disk.sha256()
    run = subprocess.run(
        room.command("sh", "-c", commands[0]), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "is no longer what was decided on" in run.stderr
    assert "wipefs: was" in run.stderr
    assert disk.sha256() == before


def test_another_disk_under_the_same_name_is_not_formatted(room: Room) -> None:
    """Same name, same number, same size, blank as well: only that it was attached anew differs."""
    disk = room.disk()
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Format)
    room.detach(disk)
    disk.image.unlink()
    other = room.disk(path=disk.path)
    run = subprocess.run(
        room.command("sh", "-c", commands[0]), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "diskseq" in run.stderr
    assert other.read(0, 4096) == bytes(4096)


def test_a_disk_that_is_mounted_between_plan_and_apply_is_left_alone(room: Room) -> None:
    disk = room.disk()
    room.sh('mkfs.xfs -q "$1"', disk.path)
    refusal, _ = room.plan(disk.path)
    token = getattr(refusal, "token", None)
    decision, commands = room.plan(disk.path, wipe=(token,))
    assert isinstance(decision, Format)
    room.sh('mkdir "$2"; mount "$1" "$2"; touch "$2/precious"', disk.path, f"{room.place}/x")
    run = subprocess.run(
        room.command("sh", "-c", commands[0]), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert room.sh('ls "$1"', f"{room.place}/x") == "precious\n"


def test_fstab_that_changes_between_plan_and_apply_is_left_alone(room: Room) -> None:
    disk = room.disk()
    _, commands = room.plan(disk.path)
    for command in commands[:2]:
        room.sh(command)
    room.sh("echo '/dev/x /x ext4 defaults 0 0' >> /etc/fstab")
    before = room.fstab()
    run = subprocess.run(
        room.command("sh", "-c", commands[2]), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "has changed since" in run.stderr
    assert room.fstab() == before


def test_a_full_disk_is_said_and_mended_once_there_is_room(room: Room) -> None:
    disk = room.disk()
    done(room, disk)
    room.sh('rm "$1/.rocminfra-scratch"', room.mount_point)
    full(room, disk)
    run = room.pyinfra(device=disk.path)
    assert run.code == 1, run.text
    assert "No space left on device" in run.text
    assert "Traceback" not in run.text
    room.sh('rm "$1/big"', room.mount_point)
    finish(room, disk)
