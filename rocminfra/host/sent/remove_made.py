"""Take away what a plan names, step by step; each looks again whether it is still as planned.

    echo '{"steps": [{"kind": "file", "path": "/etc/x", "sha256": "…"}]}' | python3 remove_made.py

Prints a JSON object a line for every step that was taken: ``{"step": 0}``; the first that cannot be
is the last: ``{"step": 1, "why": "…"}``. What is gone already is done. Nothing is
forced: no lazy unmount, no signal to anybody's process, no package that was not named.

Standard library only: this file is piped into python3 on the host.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

FSTAB = "/etc/fstab"
OLD_ROOT = "/var/lib/docker"
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_IMMUTABLE_FL = 0x10


class StepError(Exception):
    """Why a step cannot be taken."""


def file(path: str, sha256: str, folder: bool) -> None:
    """Remove a file that is still what it was.

    + folder: also the folder that it is in, when it is empty then and no package's
    """
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isfile(path):
        raise StepError(f"{path} is no plain file any more")
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != sha256:
        raise StepError(f"{path} has changed since the plan")
    os.unlink(path)
    parent = os.path.dirname(path)
    if folder and not os.listdir(parent) and _nobody_owns(parent):
        os.rmdir(parent)
    _reload(path)


def stop(unit: str) -> None:
    """Disable a unit and stop it, in its own time."""
    _command("systemctl", "disable", "--now", "--", unit)
    if _succeeds("systemctl", "is-active", "--quiet", "--", unit):
        raise StepError(f"{unit} is still active")


def packages(names: list[str], container: str) -> None:
    """Purge Docker's packages, and nothing with them; not while it has containers of others.

    + container: the engine's, which may be there
    """
    found = set(_command("docker", "ps", "--all", "--format", "{{.Names}}").split())
    if found - {container}:
        raise StepError(f"Docker has other containers: {', '.join(sorted(found - {container}))}")
    if os.path.isdir(OLD_ROOT) and os.listdir(OLD_ROOT):
        # Debian's package removes it when it is purged.
        raise StepError(f"{OLD_ROOT} holds data")
    simulated = _command("apt-get", "--simulate", "purge", "--", *names)
    words = (line.split() for line in simulated.splitlines())
    would = {line[1] for line in words if len(line) > 1 and line[0] in ("Purg", "Remv")}
    more = sorted(would - set(names))
    if more:
        raise StepError(f"apt would also remove {', '.join(more)}")
    for unit in ("docker.socket", "docker.service"):
        if _succeeds("systemctl", "is-active", "--quiet", unit):
            _command("systemctl", "stop", unit)
    options = ("-o", "DPkg::Lock::Timeout=120", "--yes")
    _command("apt-get", *options, "purge", "--", *names)


def setting(name: str, value: str) -> None:
    """Set a kernel setting, on kernels that have it."""
    path = Path("/proc/sys") / name.replace(".", "/")
    if path.exists():
        path.write_text(f"{value}\n", encoding="ascii")


def tree(path: str, keep: list[str]) -> None:
    """Remove a folder with everything in it, but for files to keep and what they are in."""
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isdir(path):
        raise StepError(f"{path} is no plain folder any more")
    _no_mount_in(path)
    if not keep:
        shutil.rmtree(path)
        return
    for name in sorted(os.listdir(path)):
        inside = f"{path}/{name}"
        if inside in keep:
            continue
        if os.path.isdir(inside) and not os.path.islink(inside):
            shutil.rmtree(inside)
        else:
            os.unlink(inside)


def unmount(path: str) -> None:
    """Unmount what nobody uses."""
    if not os.path.ismount(path):
        return
    _no_mount_in(path, itself=False)
    done = _try("umount", "--", path)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        using = ", ".join(users(path)) or "a process that cannot be named"
        raise StepError(f"{said}; in use by {using}")


def users(path: str) -> list[str]:
    """Processes that have their folder, or an open file, below a path."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        links = [process / "cwd", process / "root", process / "exe"]
        try:
            links += list((process / "fd").iterdir())
        except OSError:
            continue
        for link in links:
            try:
                target = os.readlink(str(link))
            except OSError:
                continue
            if target == path or target.startswith(f"{path}/"):
                try:
                    name = (process / "comm").read_text(encoding="utf-8").strip()
                except OSError:
                    name = "?"
                found[process.name] = f"{name} ({process.name})"
                break
    return [found[pid] for pid in sorted(found, key=int)]


def fstab(line: str, path: str = FSTAB) -> None:
    """Remove one line from fstab; every other byte stays."""
    old = Path(path).read_bytes()
    wanted = line.encode("utf-8", "surrogateescape")
    lines = re.findall(rb"[^\n]*\n|[^\n]+", old)
    kept = [one for one in lines if one.rstrip(b"\n") != wanted]
    if len(kept) == len(lines):
        return
    if len(kept) != len(lines) - 1:
        raise StepError(f"{path} has the line more than once")
    real = os.path.realpath(path)
    status = os.stat(real)
    fresh = f"{real}.rocminfra-new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(b"".join(kept))
        os.fchown(out.fileno(), status.st_uid, status.st_gid)
        os.fchmod(out.fileno(), status.st_mode & 0o7777)
        out.flush()
        os.fsync(out.fileno())
    if Path(real).read_bytes() != old:
        os.unlink(fresh)
        raise StepError(f"{path} has changed since it was read")
    os.rename(fresh, real)
    if path == FSTAB:
        _reload(UNITS)


def mount_point(path: str) -> None:
    """Remove the empty folder that the disk was mounted on, which was made unwritable."""
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isdir(path) or os.path.ismount(path):
        raise StepError(f"{path} is no plain folder, or something is mounted there")
    if os.listdir(path):
        raise StepError(f"{path} holds files below the mount")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        answer = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, struct.pack("l", 0))
        flags = struct.unpack("l", answer)[0]
        if flags & FS_IMMUTABLE_FL:
            fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("l", flags & ~FS_IMMUTABLE_FL))
    except OSError:
        pass  # a file system without the flag; rmdir says whether it can be
    finally:
        os.close(descriptor)
    os.rmdir(path)


def user(name: str, home: str) -> None:
    """Remove a user whose home folder is still this one; it may have no process."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return
    if found.pw_dir != home:
        raise StepError(f"the user {name} has another home folder: {found.pw_dir}")
    _command("userdel", "--", name)


def state(path: str, keep_runs: bool) -> None:
    """Remove our own folder of state; with ``keep_runs`` the runs in it stay."""
    if not os.path.lexists(path):
        return
    tree(path, [f"{path}/runs"] if keep_runs else [])


UNITS = "/etc/systemd/system"
STEPS: dict[str, Any] = {
    "file": file,
    "stop": stop,
    "packages": packages,
    "setting": setting,
    "tree": tree,
    "unmount": unmount,
    "fstab": fstab,
    "mount-point": mount_point,
    "user": user,
    "state": state,
}


def _reload(path: str) -> None:
    """Let systemd and udev know of a file that is gone."""
    if path.startswith("/etc/systemd/") and os.path.isdir("/run/systemd/system"):
        _command("systemctl", "daemon-reload")
    if path.startswith("/etc/udev/") and shutil.which("udevadm"):
        _try("udevadm", "control", "--reload")


def _nobody_owns(folder: str) -> bool:
    return not _succeeds("dpkg-query", "--search", "--", folder)


def _no_mount_in(path: str, itself: bool = True) -> None:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    for line in text.splitlines():
        target = line.split()[4].replace("\\040", " ")
        if target.startswith(f"{path}/") or (itself and target == path):
            raise StepError(f"{target} is mounted")


def _try(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )


def _succeeds(*command: str) -> bool:
    return _try(*command).returncode == 0


def _command(*command: str) -> str:
    done = _try(*command)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-5:]
        raise StepError(f"{' '.join(command)}: {'; '.join(said) or done.returncode}")
    return done.stdout.decode("utf-8", "replace")


def main() -> int:
    """Run from the command line."""
    for number, step in enumerate(json.loads(sys.stdin.buffer.readline())["steps"]):
        arguments = {key: value for key, value in step.items() if key != "kind"}
        try:
            STEPS[step["kind"]](**arguments)
        except (StepError, OSError) as error:
            print(json.dumps({"step": number, "why": str(error)}), flush=True)
            return 0
        print(json.dumps({"step": number}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
