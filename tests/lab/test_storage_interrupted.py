"""Stopped anywhere: the same end, or a refusal that says how to go on.

Each command of the operation is stopped right before it, right after it, and in the middle: a
program in its way gets it to a known point, says so, and waits there for its SIGKILL.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from storage_preparations import UUID, came_back_blank, done, full, mounted, ours
from storage_room import Disk, Room, open_room

from rocminfra.planning.disk.decide import Format, Keep, Mount

pytestmark = pytest.mark.lab
# What a format yields, in this order.
COMMANDS = ("mkfs", "mount point", "fstab", "mount", "owner", "sentinel")
# Further than this, somebody may have put something onto the file system: no token may be needed.
MADE = 1
DEADLINE_S = 60


@dataclass(frozen=True)
class Stop:
    """A point in the middle of a command.

    + command: one of :data:`COMMANDS`
    + where: what has happened at that point
    + tool: the program that is stopped, or ``python3``
    + script: what the program in its way does before it waits; for ``python3`` the function of
      ``os`` that is waited in
    + token: whether a wipe token is needed to go on
    """

    command: str
    where: str
    tool: str
    script: str
    token: bool = False

    @property
    def slug(self) -> str:
        return f"{self.command}: {self.where}".replace(" ", "-")


HALF = '$REAL "$@" && xfs_db -x -c "sb 0" -c "write -c inprogress 1" "$DISK" >/dev/null;'
STOPS = (
    Stop("mkfs", "looked at again", "mkfs.xfs", ":;"),
    # What mkfs.xfs leaves behind when it is killed while it writes.
    Stop("mkfs", "half written", "mkfs.xfs", HALF, token=True),
    Stop("mkfs", "made, not reported", "mkfs.xfs", '$REAL "$@";'),
    Stop("mount point", "folder made, not protected", "python3", "fchmod"),
    Stop("fstab", "new file written, not renamed", "python3", "rename"),
    Stop("mount", "not mounted", "mount", ":;"),
    Stop("mount", "mounted, not reported", "mount", '$REAL "$@";'),
    Stop("owner", "not given", "chown", ":;"),
    Stop("owner", "given, not reported", "chown", '$REAL "$@";'),
    Stop("sentinel", "written, not named", "mv", ":;"),
    Stop("sentinel", "not written to the disk", "sync", ":;"),
)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened:
        yield opened


def finish(room: Room, disk: Disk, token: bool = False) -> None:
    """Run again, with the token of a refusal only where ``token`` says that there is one."""
    run = room.pyinfra(device=disk.path)
    if token:
        assert run.code == 1, run.text
        assert "mkfs was interrupted" in run.text or "data at byte" in run.text
        found = re.search(r"--data wipe=(\S+)", run.text)
        assert found is not None, run.text
        run = room.pyinfra(device=disk.path, wipe=found.group(1))
    assert run.code == 0, run.text
    decision, _ = room.plan(disk.path)
    assert isinstance(decision, Keep)
    assert decision.uuid == UUID
    assert room.fstab().count(room.mount_point) == 1
    assert room.fstab().startswith("# before us\n")


def leave_a_file(room: Room, disk: Disk) -> None:
    """Something on the file system that must still be there at the end."""
    room.sh(
        'if findmnt --mountpoint "$2" >/dev/null; then touch "$2/precious"; else mkdir -p "$3";'
        'mount "$1" "$3"; touch "$3/precious"; umount "$3"; fi',
        disk.path,
        room.mount_point,
        f"{room.place}/elsewhere",
    )


def stop_in(room: Room, disk: Disk, stop: Stop, command: str) -> None:
    """Run ``command`` until ``stop`` is reached, then end all of it with SIGKILL."""
    reached = room.place.parent / "reached"
    if stop.tool == "python3":
        hook = room.place.parent / "hook"
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(
            "import os, time\n"
            "def wait(*_):\n"
            f"    open({str(reached)!r}, 'w').close(); time.sleep({DEADLINE_S})\n"
            f"os.{stop.script} = wait\n"
        )
        # Without -I, which keeps such hooks out.
        room.shim("python3", f'shift; PYTHONPATH={hook} exec "$REAL" "$@"')
    else:
        wait = f"touch {reached}; exec sleep {DEADLINE_S}"
        room.shim(stop.tool, f"DISK={disk.path}\n{stop.script}\n{wait}")
    process = subprocess.Popen(
        room.command("sh", "-c", command),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        env=room.environment(),
    )
    wait_until(reached, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    room.sh('rm -f "$1"/shims/*', str(room.place))


def wait_until(reached: Path, process: subprocess.Popen[bytes]) -> None:
    """Until ``process`` has come to the point at which it makes the file ``reached``."""
    deadline = time.monotonic() + DEADLINE_S
    while not reached.exists():
        assert process.poll() is None, "it ended without getting there"
        assert time.monotonic() < deadline, "it did not get there in time"
        time.sleep(0.01)


def until_free(disk: Disk) -> None:
    """Wait until what was killed has let go of the disk."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            os.close(os.open(disk.path, os.O_RDONLY | os.O_EXCL))
            return
        except OSError:
            time.sleep(0.01)


@pytest.mark.parametrize("stop", range(len(COMMANDS) + 1))
def test_stopped_between_two_commands(room: Room, stop: int) -> None:
    """Right before the command of that number is right after the one before it."""
    disk = room.disk()
    came_back_blank(room, disk)
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Format)
    assert len(commands) == len(COMMANDS)
    for command in commands[:stop]:
        room.sh(command)
    if stop >= MADE:
        leave_a_file(room, disk)
    finish(room, disk)
    assert stop < MADE or room.sh('ls "$1"', room.mount_point) == "precious\n"


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.slug)
def test_killed_in_the_middle_of_a_command(room: Room, stop: Stop) -> None:
    disk = room.disk()
    came_back_blank(room, disk)
    _, commands = room.plan(disk.path)
    index = COMMANDS.index(stop.command)
    for command in commands[:index]:
        room.sh(command)
    if index >= MADE:
        leave_a_file(room, disk)
    stop_in(room, disk, stop, commands[index])
    if index < COMMANDS.index("mount"):
        until_free(disk)
    finish(room, disk, stop.token)
    assert index < MADE or room.sh('ls "$1"', room.mount_point) == "precious\n"


@pytest.mark.parametrize("script", [":;", '$REAL "$@";'], ids=["before", "after"])
def test_killed_while_it_is_mounted_again_with_other_options(room: Room, script: str) -> None:
    disk = room.disk()
    done(room, disk)
    room.sh('mount -o remount,ro "$1"', room.mount_point)
    decision, commands = room.plan(disk.path)
    assert isinstance(decision, Mount)
    assert len(commands) == 1
    stop_in(room, disk, Stop("remount", "stopped", "mount", script), commands[0])
    finish(room, disk)


@pytest.mark.parametrize(
    ("tool", "script"),
    [
        ("wipefs", ":;"),
        ("wipefs", '$REAL "$@";'),
        ("mkfs.xfs", 'case "$*" in *-N) exec $REAL "$@";; esac;'),
    ],
    ids=["before anything is wiped", "wiped, no file system yet", "mkfs not begun"],
)
def test_killed_while_a_token_wipes(room: Room, tool: str, script: str) -> None:
    disk = room.disk()
    came_back_blank(room, disk)
    room.sh('mkfs.ext4 -q "$1"', disk.path)
    refusal, _ = room.plan(disk.path)
    decision, commands = room.plan(disk.path, wipe=(getattr(refusal, "token", ""),))
    assert isinstance(decision, Format)
    if tool == "wipefs":  # which is one of the probes as well
        script = f'case "$*" in *--all*) {script} ;; *) exec $REAL "$@";; esac;'
    stop_in(room, disk, Stop("mkfs", tool, tool, script), commands[0])
    until_free(disk)
    again = room.pyinfra(device=disk.path)
    assert again.code == 1, again.text
    found = re.search(r"--data wipe=(\S+)", again.text)
    assert found is not None, again.text
    assert room.pyinfra(device=disk.path, wipe=found.group(1)).code == 0
    finish(room, disk)


def test_only_the_guard_is_killed_and_mkfs_goes_on(room: Room) -> None:
    """A run beside it sees who has the disk open, and leaves it alone."""
    disk = room.disk()
    came_back_blank(room, disk)
    _, commands = room.plan(disk.path)
    reached = room.place.parent / "reached"
    room.shim("mkfs.xfs", f"exec 3<{disk.path}; touch {reached}; sleep {DEADLINE_S}; exit 1")
    guard = subprocess.Popen(
        room.command("sh", "-c", f"exec {commands[0].split(' && ')[0]}"),
        start_new_session=True,
        env=room.environment(),
    )
    wait_until(reached, guard)
    guard.kill()
    guard.wait()
    room.sh('rm "$1"/shims/mkfs.xfs', str(room.place))
    run = room.pyinfra(device=disk.path)
    assert run.code == 1
    assert "is in use" in run.text
    os.killpg(guard.pid, signal.SIGKILL)
    until_free(disk)
    finish(room, disk)


def test_the_folder_below_a_mount_that_was_there_before_us_is_unwritable(room: Room) -> None:
    disk = room.disk()
    ours(room, disk)
    room.sh('mkdir "$1"; touch "$1/hidden"', room.mount_point)
    mounted(room, disk)
    run = room.pyinfra(device=disk.path)
    assert run.code == 0, run.text
    assert room.sh('ls -A "$1"', room.mount_point) == ".rocminfra-scratch\n"
    room.sh('umount "$1"', room.mount_point)
    assert room.sh('stat -c %a "$1"; ls "$1"', room.mount_point) == "555\nhidden\n"


def test_a_full_disk_is_said_and_mended_once_there_is_room(room: Room) -> None:
    disk = room.disk()
    done(room, disk)
    room.sh('rm "$1/.rocminfra-scratch"', room.mount_point)
    full(room, disk)
    run = room.pyinfra(device=disk.path)
    assert run.code == 1, run.text
    assert "No space left on device" in run.text
    assert "next: " in run.text
    assert "Traceback" not in run.text
    room.sh('rm "$1/big"', room.mount_point)
    finish(room, disk)
