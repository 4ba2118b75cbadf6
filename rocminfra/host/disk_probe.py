"""Look at the block devices of this machine and print what was seen, as one line of JSON.

    python3 disk_probe.py '{"device": "auto", "mount_point": "/mnt/models"}'
    python3 disk_probe.py '{"only": "/dev/vdc"}'

Reads only. Every tool's exit code, output and standard error are passed on as they are: what they
mean is decided elsewhere, and a look that failed must stay visible as such. Nothing here waits
without a deadline, because a sick disk can block a read for ever.

Standard library only: this file is sent to the host as it is, and has no single quote in it so
that quoting it for a shell costs nothing.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import pwd
import re
import shutil
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

TOOL_DEADLINE_S = 20
READ_DEADLINE_S = 60
EDGE_BYTES = 4 << 20
SAMPLE_BYTES = 64 << 10
SAMPLES = 64
BLKROGET = 0x125E  # linux/fs.h
FS_IOC_GETFLAGS = 0x80086601
FS_IMMUTABLE_FL = 0x10
SENTINEL = ".rocminfra-scratch"
LSBLK_COLUMNS = "NAME,KNAME,PATH,MAJ:MIN,TYPE,SIZE,RO,RM,PKNAME,SERIAL,WWN"
SYSFS_TEXTS = ("ro", "removable", "size", "partition", "diskseq", "serial", "wwid")
SYSFS_DEVICE_TEXTS = ("device/serial", "device/wwid", "nsid", "dm/name", "dm/uuid")


def observe(request: dict[str, Any]) -> dict[str, Any]:
    """Everything that the choice of a scratch disk is decided on.

    + request: ``device`` and ``mount_point``; or ``only``, the path of one device, to repeat the
      look at that one
    """
    seen: dict[str, Any] = {"euid": os.geteuid()}
    seen["tools"] = {
        name: shutil.which(name) for name in ("mkfs.xfs", "apt-get", "udevadm", "chattr")
    }
    seen["lsblk"] = run("lsblk", "-J", "-b", "-l", "-o", LSBLK_COLUMNS)
    seen["mountinfo"] = read("/proc/self/mountinfo")
    seen["swaps"] = read("/proc/swaps", missing="")
    seen["links"] = links()
    paths = dev_paths(seen["mountinfo"], seen["swaps"])
    mount_point = request.get("mount_point")
    if mount_point is not None:
        seen["findmnt"] = run("findmnt", "-J", "-l", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS,MAJ:MIN")
        seen["fstab"] = read("/etc/fstab", missing="")
        seen["mount_point"] = in_child(lambda: place(mount_point))
        paths += dev_paths(seen["fstab"])
    wanted = request.get("only", request.get("device", "auto"))
    if wanted != "auto":
        paths.append(wanted)
    seen["nodes"] = {path: number_of(path) for path in sorted(set(paths))}
    seen["devices"] = {}
    table = devices()
    used = in_use(seen, table)
    busy = any(entry["target"] == mount_point for entry in used["mounts"])
    people = {} if busy else users(set(table))
    for number, device in table.items():
        if "only" in request and number != seen["nodes"].get(wanted):
            continue
        device["mounted"] = [m["target"] for m in used["mounts"] if m["number"] == number]
        device["swap"] = number in used["swaps"]
        device["links"] = [link for link, n in seen["links"].items() if n == number]
        device["users"] = people.get(number, [])
        asked_for = number == seen["nodes"].get(wanted) or number in device["parents_of"]
        if busy and not device["mounted"]:
            pass
        elif asked_for or not device["name"].startswith(("loop", "zram", "ram", "sr", "fd")):
            path = "/dev/" + device["name"].replace("!", "/")
            device["blkid"] = run("blkid", "-p", "-o", "export", path)
            device["wipefs"] = run("wipefs", "--no-act", "-J", path)
            if not busy and not device["mounted"] and not device["swap"]:
                device["content"] = in_child(functools.partial(content, path, number))
        seen["devices"][number] = device
    return seen


def run(*command: str) -> dict[str, Any]:
    """Exit code (None: missing or out of time), output and standard error of a tool."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
    tool = shutil.which(command[0], path=search)
    if tool is None:
        return {"rc": None, "out": "", "err": "not installed"}
    try:
        process = subprocess.Popen(
            (tool, *command[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": search},
        )
    except OSError as error:
        return {"rc": None, "out": "", "err": str(error)}
    try:
        out, err = process.communicate(timeout=TOOL_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()  # and not waited for: it may be stuck in the kernel
        return {"rc": None, "out": "", "err": f"no answer within {TOOL_DEADLINE_S} s"}
    return {
        "rc": process.returncode,
        "out": out.decode("utf-8", "surrogateescape"),
        "err": err.decode("utf-8", "surrogateescape").strip(),
    }


def in_child(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Result of ``look``, or ``{"error": …}`` when it fails or outlives its deadline."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # a stuck child must not keep the caller waiting
            os.dup2(null, stream)
        try:
            result = look()
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(writer, "w") as pipe:
            pipe.write(json.dumps(result))
        os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    deadline = time.monotonic() + READ_DEADLINE_S
    text = b""
    while time.monotonic() < deadline:
        try:
            part = os.read(reader, 1 << 16)
        except BlockingIOError:
            time.sleep(0.002)
            continue
        if not part:
            os.waitpid(child, 0)
            os.close(reader)
            try:
                return dict(json.loads(text))
            except ValueError:
                return {"error": "the look at it was killed"}
        text += part
    os.close(reader)
    os.kill(child, 9)
    return {"error": f"no answer within {READ_DEADLINE_S} s"}


def read(path: str, missing: str | None = None) -> dict[str, Any]:
    """Text of a file, or why not; ``missing`` is the text of a file that need not exist."""
    try:
        with open(path, "rb") as file:
            return {"text": file.read().decode("utf-8", "surrogateescape")}
    except FileNotFoundError as error:
        return {"error": str(error)} if missing is None else {"text": missing}
    except OSError as error:
        return {"error": str(error)}


def number_of(path: str) -> str | None:
    """``MAJOR:MINOR`` of the block device at ``path``, links followed."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def dev_paths(*sources: dict[str, Any]) -> list[str]:
    """Every word that starts with /dev/ in mountinfo, swaps or fstab, escapes undone."""
    words = [w for source in sources for w in source.get("text", "").split()]
    return [unescape(word) for word in words if word.startswith("/dev/")]


def unescape(field: str) -> str:
    """Undo the octal escapes of proc(5) and fstab(5)."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), field)


def links() -> dict[str, str | None]:
    """Stable names that udev made; empty where there is no udev."""
    found = {}
    for folder in ("/dev/disk/by-id", "/dev/disk/by-path"):
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                found[f"{folder}/{name}"] = number_of(f"{folder}/{name}")
    return found


def devices() -> dict[str, dict[str, Any]]:
    """Every block device of sysfs by number; those without a size are left out."""
    table: dict[str, dict[str, Any]] = {}
    for number in sorted(os.listdir("/sys/dev/block")):
        base = os.path.realpath(f"/sys/dev/block/{number}")
        device: dict[str, Any] = {"name": os.path.basename(base), "sysfs": base}
        for name in SYSFS_TEXTS + SYSFS_DEVICE_TEXTS:
            text = read(f"{base}/{name}").get("text")
            device[name] = None if text is None else text.strip("\0\n ")
        if device["size"] in (None, "0"):
            continue
        device["backing_file"] = (read(f"{base}/loop/backing_file").get("text") or "").rstrip("\n")
        link = f"{base}/device"
        device["address"] = os.path.basename(os.path.realpath(link)) if os.path.exists(link) else ""
        for name in ("holders", "slaves"):
            folder = f"{base}/{name}"
            device[name] = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        device["parent"] = None
        if device["partition"] is not None:
            parent = read(f"{os.path.dirname(base)}/dev").get("text")
            device["parent"] = parent.strip() if parent else "unknown"
        device["node"] = number_of("/dev/" + device["name"].replace("!", "/"))
        table[number] = device
    for number, device in table.items():
        device["parents_of"] = sorted(n for n, d in table.items() if d["parent"] == number)
    return table


def in_use(seen: dict[str, Any], table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mounts by device number, and numbers of swap areas."""
    mounts = []
    for line in seen["mountinfo"].get("text", "").splitlines():
        fields = line.split(" ")
        source = unescape(fields[fields.index("-") + 2])
        # Btrfs and others mount under an anonymous number; the source names the device.
        number = fields[2] if fields[2] in table else seen["nodes"].get(source, fields[2])
        mounts.append({"number": number, "target": unescape(fields[4])})
    areas = [unescape(line.split()[0]) for line in seen["swaps"].get("text", "").splitlines()[1:]]
    return {"mounts": mounts, "swaps": [seen["nodes"].get(area) for area in areas]}


def users(numbers: set[str]) -> dict[str, list[str]]:
    """Who else uses a device: open files, other mount namespaces, loop devices on top of it."""
    found: dict[str, set[str]] = {}
    spaces = {os.readlink("/proc/self/ns/mnt")}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        who = read(f"/proc/{pid}/comm").get("text", "?").strip() + f" (pid {pid})"
        try:
            files = [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]
            space = os.readlink(f"/proc/{pid}/ns/mnt")
        except OSError:
            continue  # it has ended, or is a kernel thread
        for number in {number_of(file) for file in files} & numbers:
            found.setdefault(str(number), set()).add(f"opened by {who}")
        if space in spaces:
            continue
        spaces.add(space)
        for line in read(f"/proc/{pid}/mountinfo").get("text", "").splitlines():
            if line.split(" ")[2] in numbers:
                mounted = f"mounted in the name space of {who}"
                found.setdefault(line.split(" ")[2], set()).add(mounted)
    for name in os.listdir("/sys/block"):
        backing = read(f"/sys/block/{name}/loop/backing_file").get("text", "").rstrip("\n")
        below = number_of(backing) if backing else None
        if below is not None:
            found.setdefault(below, set()).add(f"backs {name}")
    return {number: sorted(names) for number, names in found.items()}


def place(path: str) -> dict[str, Any]:
    """What is at the mount point, mounted or not."""
    if not os.path.lexists(path):
        return {"exists": False, "real": os.path.realpath(path)}
    status = os.lstat(path)
    seen: dict[str, Any] = {"exists": True, "real": os.path.realpath(path)}
    seen["folder"] = stat.S_ISDIR(status.st_mode)
    seen["mode"] = stat.S_IMODE(status.st_mode)
    seen["owner"] = user_name(status.st_uid)
    seen["immutable"] = None
    if not seen["folder"]:
        return seen
    names = sorted(os.listdir(path))
    seen["count"] = len(names)
    seen["names"] = names[:5]
    text = read(f"{path}/{SENTINEL}").get("text")
    seen["sentinel"] = None if text is None else text[:200]
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, struct.pack("l", 0))
        seen["immutable"] = bool(struct.unpack("l", flags)[0] & FS_IMMUTABLE_FL)
    except OSError:
        pass  # this file system has no such flag
    return seen


def user_name(uid: int) -> str:
    """Name of a user, or the number of one who has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def content(path: str, number: str) -> dict[str, Any]:
    """Size, write protection, exclusive open, and whether the samples are zero."""
    seen: dict[str, Any] = {}
    descriptor = os.open(path, os.O_RDONLY)
    if number_of(f"/proc/self/fd/{descriptor}") != number:
        return {"error": f"{path} is not device {number}"}
    size = os.lseek(descriptor, 0, os.SEEK_END)
    seen["size"] = size
    flag = fcntl.ioctl(descriptor, BLKROGET, struct.pack("i", 0))
    seen["read_only"] = bool(struct.unpack("i", flag)[0])
    seen["data_at"] = first_data(descriptor, size)
    head = os.pread(descriptor, 512, 0)
    # xfs_dsb, fs/xfs/libxfs/xfs_format.h: sb_inprogress is byte 126, cleared when mkfs is done.
    seen["xfs_in_progress"] = head[126] != 0 if head[:4] == b"XFSB" else None
    os.close(descriptor)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
        seen["exclusive"] = "free"
    except OSError as error:
        seen["exclusive"] = str(error)
    return seen


def first_data(descriptor: int, size: int) -> int | None:
    """Offset of the first non-zero byte of the samples, or None."""
    edge = min(EDGE_BYTES, size)
    spans = [(0, edge), (size - edge, edge)]
    step = (size - 2 * edge) // (SAMPLES + 1)
    if step <= SAMPLE_BYTES:  # small: all of it
        spans.insert(1, (edge, max(0, size - 2 * edge)))
    else:
        spans[1:1] = [(edge + (i + 1) * step // 4096 * 4096, SAMPLE_BYTES) for i in range(SAMPLES)]
    for start, length in spans:
        position = start
        while position < start + length:
            part = os.pread(descriptor, min(1 << 20, start + length - position), position)
            if not part:
                raise OSError(f"short read at {position}")
            rest = part.lstrip(b"\0")
            if rest:
                return position + len(part) - len(rest)
            position += len(part)
    return None


if __name__ == "__main__":
    print(json.dumps(observe(json.loads(sys.argv[1])), sort_keys=True))
