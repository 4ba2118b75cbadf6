"""A private mount name space with its own /etc, and small disks on loop devices.

Everything that the storage operation does here is real: probes, mkfs, mounts, fstab. Nothing of it
is seen outside, and nothing is left when the room closes, not even after a SIGKILL of the tests
(the loop devices are set to go away with their last user).
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rocminfra.facts.disks import Disks
from rocminfra.operations.disk_commands import format_command, step_command
from rocminfra.planning.disk.decide import Decision, Format, Mount, decide
from rocminfra.planning.disk.observation import Desired, Observed

ROOT = Path(__file__).parents[2]
MIB = 1024**2
# The smallest disk that mkfs.xfs takes, and a bit.
DISK_BYTES = 320 * MIB
DEPLOY = '''\
"""A deploy that has nothing of ours but the operation."""

from pyinfra import host

from rocminfra.operations import disk

KEYS = ("device", "mount_point", "label", "mount_options", "owner", "expected_size_gib", "wipe")
scratch = {key: host.data.get(key) for key in KEYS if host.data.get(key) is not None}
disk.gate(**scratch)
disk.scratch(name="Scratch disk", **scratch)
'''
SETUP = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/etc" "$1/shims"
cp -a /etc/. "$1/etc"
mount --bind "$1/etc" /etc
printf '# %s\\n' 'before us' > /etc/fstab
echo ready
exec cat
"""


@dataclass
class Run:
    """One run of pyinfra."""

    code: int
    text: str

    @property
    def decision(self) -> str:
        """What was decided, as the run tells it."""
        for verb in ("format", "mount"):
            if f"] {verb} /dev/" in self.text:
                return verb.capitalize()
        return "Keep" if self.code == 0 and "No changes" in self.text else "Refuse"


@dataclass
class Disk:
    """A loop device on a sparse file."""

    path: str
    image: Path

    @property
    def name(self) -> str:
        return self.path.removeprefix("/dev/")

    def sha256(self) -> str:
        """Hash of every byte of the device."""
        subprocess.run(["blockdev", "--flushbufs", self.path], check=True)
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def sectors_written(self) -> str:
        """The device's own write counter (Documentation/block/stat.rst, field 7)."""
        return Path(f"/sys/block/{self.name}/stat").read_text().split()[6]

    def write(self, offset: int, data: bytes) -> None:
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)
            os.fsync(file.fileno())

    def read(self, offset: int, length: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(length)


@dataclass
class Room:
    """The name space; ``place`` is a folder that only it has."""

    place: Path
    pid: int
    disks: list[Disk] = field(default_factory=list)
    helpers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    shims: bool = False

    @property
    def mount_point(self) -> str:
        return f"{self.place}/models"

    def command(self, *command: str) -> list[str]:
        """``command`` inside the room."""
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", f"--wd={ROOT}", *command]

    def sh(self, script: str, *arguments: str) -> str:
        """Output of a shell script inside; it has to succeed."""
        command = self.command("sh", "-euc", script, "sh", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A process inside that lives until the room closes; it prints a line when it is ready."""
        command = self.command("sh", "-euc", script, "sh", *arguments)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.helpers.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def disk(self, size: int = DISK_BYTES, path: str | None = None) -> Disk:
        """A blank disk; at ``path``, or at any free one."""
        image = self.place.parent / f"disk{len(self.disks)}.img"
        with open(image, "wb") as file:
            file.truncate(size)
        return self.attach(image, path)

    def attach(self, image: Path, path: str | None = None) -> Disk:
        """A disk with the contents of ``image``."""
        if path is None:
            command = ["losetup", "--find", "--show", str(image)]
            found = subprocess.run(command, capture_output=True, text=True, check=True)
            path = found.stdout.strip()
        else:
            subprocess.run(["losetup", path, str(image)], check=True)
        disk = Disk(path, image)
        self.disks.append(disk)
        return disk

    def detach(self, disk: Disk) -> None:
        # The flag stays with a loop device's number and would meet its next user.
        subprocess.run(["blockdev", "--setrw", disk.path], check=False)
        if list(Path(f"/sys/block/{disk.name}").glob(f"{disk.name}p*")):
            subprocess.run(["partx", "--delete", disk.path], check=True)
        subprocess.run(["losetup", "--detach", disk.path], check=True)
        self.disks.remove(disk)

    def shim(self, tool: str, script: str) -> None:
        """Put a program in the way of ``tool``; ``$REAL`` is the real one."""
        real = self.sh(f"command -v {tool}").strip()
        file = f"{self.place}/shims/{tool}"
        text = f"#!/bin/sh\nREAL={shlex.quote(real)}\n{script}\n"
        self.sh('printf %s "$2" > "$1"; chmod +x "$1"', file, text)
        self.shims = True

    def environment(self) -> dict[str, str]:
        """With the programs that are put in the way."""
        path = os.environ["PATH"]
        if self.shims:
            path = f"{self.place}/shims:{path}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYINFRA_PROGRESS": "off"}

    def pyinfra(self, *options: str, answer: str = "", **data: str) -> Run:
        """Run the deploy against ``@local``, with ``-y`` unless options say otherwise."""
        given = {"mount_point": self.mount_point, **data}
        pairs = [part for k, v in given.items() for part in ("--data", f"{k}={v}")]
        done = subprocess.run(
            self.command(
                sys.executable,
                "-m",
                "pyinfra",
                "@local",
                str(self.place.parent / "deploy.py"),
                *(options or ("-y",)),
                *pairs,
            ),
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def act(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the operation, whatever comes of it."""
        return subprocess.run(
            self.command("sh", "-c", command),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )

    def observe(self, device: str) -> Observed:
        """What the fact makes of the room."""
        out = self.sh(Disks().command(device=device, mount_point=self.mount_point))
        return Disks().process(out.splitlines())

    def plan(self, device: str, wipe: tuple[str, ...] = ()) -> tuple[Decision, list[str]]:
        """The decision about ``device``, and the shell commands that follow from it."""
        observed = self.observe(device)
        desired = Desired("@local", device, self.mount_point, wipe=wipe)
        decision = decide(observed, desired)
        commands = []
        if isinstance(decision, Format):
            commands.append(format_command(decision, desired).get_raw_value())
        if isinstance(decision, Format | Mount):
            steps = (step_command(s, decision, observed, desired) for s in decision.steps)
            commands += [step.get_raw_value() for step in steps]
        return decision, commands

    def fstab(self) -> str:
        return self.sh("cat /etc/fstab")


@contextmanager
def open_room(folder: Path) -> Iterator[Room]:
    """A room with its files below ``folder``."""
    place = folder / "room"
    place.mkdir()
    (folder / "deploy.py").write_text(DEPLOY)
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", SETUP, "sh", str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", "no private mount name space: are you root?"
    room = Room(place, process.pid)
    try:
        yield room
    finally:
        for helper in (*room.helpers, process):
            helper.kill()
            helper.wait()
            for stream in (helper.stdin, helper.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()
        for disk in list(room.disks):
            room.detach(disk)
