"""Probe the block devices of this machine and print the result as one line of JSON.

    python3 disk_probe.py '{"device": "auto", "mount_point": "/mnt/models"}' CONTENT

CONTENT is the text of disk_content.py, which runs for every candidate device.

It only reads. Exit code, output and standard error of every tool are passed on unchanged: they are
interpreted elsewhere, and a failed probe must stay visible as such. Nothing here waits without a
deadline, because a faulty disk can block a read forever.

Standard library only, and hardly a single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import stat
import struct
import subprocess
import sys
import threading

# Importing these takes a tenth of the time of a probe, and a run probes every host.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOOL_DEADLINE_S = 20
CONTENT_DEADLINE_S = 90
FS_IOC_GETFLAGS = 0x80086601
FS_IMMUTABLE_FL = 0x10
SENTINEL = ".rocminfra-scratch"
LSBLK_COLUMNS = "NAME,KNAME,PATH,MAJ:MIN,TYPE,SIZE,RO,RM,PKNAME,SERIAL,WWN"
TEXTS = ("ro", "removable", "size", "partition", "diskseq", "serial", "wwid", "nsid")
MORE_TEXTS = ("device/serial", "device/wwid", "dm/name", "dm/uuid", "md/uuid", "loop/backing_file")
# Never scratch disks, unless requested by path.
PASSED_OVER = ("loop", "zram", "ram", "sr", "fd", "nbd", "rbd", "drbd")


def observe(request: dict[str, Any], content: str) -> dict[str, Any]:
    """Everything that the choice of a scratch disk depends on.

    + request: ``device`` and ``mount_point``; or ``only``, the path of one device, to probe only
      that device, its disk, and the partitions of that disk
    + content: text of the program that inspects a device
    """
    wanted = request.get("only", request.get("device", "auto"))
    mount_point = request.get("mount_point")
    seen: dict[str, Any] = {"euid": os.geteuid()}
    seen["tools"] = {name: tool_path(name) for name in ("mkfs.xfs",)}
    if os.path.exists(
        "/run/udev/control"
    ):  # otherwise a device that udev still probes seems in use
        run("udevadm", "settle", "--timeout=10")
    seen["lsblk"] = run("lsblk", "-J", "-b", "-l", "-o", LSBLK_COLUMNS)
    seen["mountinfo"] = read("/proc/self/mountinfo")
    seen["swaps"] = read("/proc/swaps", missing="")
    paths = dev_paths(seen["mountinfo"], seen["swaps"])
    if mount_point is not None:
        seen["findmnt"] = run("findmnt", "-J", "-l", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS,MAJ:MIN")
        seen["fstab"] = read("/etc/fstab", missing="")
        seen["mount_point"] = in_time(mount_point)
        paths += dev_paths(seen["fstab"])
    seen["nodes"] = {path: number_of(path) for path in sorted({*paths, wanted}) if path != "auto"}
    table = devices(links())
    used = in_use(seen, table)
    target = seen["nodes"].get(wanted)
    family = {target, table.get(target or "", {}).get("parent")} - {None}
    settled = any(mount["target"] == mount_point for mount in used["mounts"])
    seen["devices"] = {}
    for number, device in table.items():
        asked_for = number in family or device["parent"] in family
        if "only" in request and not asked_for:
            continue
        device["mounted"] = [m["target"] for m in used["mounts"] if m["number"] == number]
        device["swap"] = number in used["swaps"]
        if (asked_for or not device["name"].startswith(PASSED_OVER)) and (
            device["mounted"] or not settled
        ):
            path = "/dev/" + device["name"].replace("!", "/")
            device["blkid"] = run("blkid", "-p", "-o", "export", path)
            device["wipefs"] = run("wipefs", "--no-act", "-J", path)
            possible = asked_for or target is None
            if possible and not (settled or device["mounted"] or device["swap"]):
                device["content"] = run(
                    *(sys.executable, "-I", "-S", "-c", content, path, number),
                    deadline=CONTENT_DEADLINE_S,
                )
        seen["devices"][number] = device
    return seen


def take_turn(deadline: float = CONTENT_DEADLINE_S) -> int:
    """Wait until no other probe is running. Returns the descriptor that holds the turn.

    Two simultaneous probes would each see the other as a user of the disk. After the deadline this
    one continues: a disk that seems in use is refused, never formatted.

    + deadline: seconds
    """
    descriptor = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        turn = threading.Thread(target=fcntl.flock, args=(descriptor, fcntl.LOCK_EX), daemon=True)
        turn.start()
        turn.join(deadline)
    return descriptor


def run(*command: str, deadline: int = TOOL_DEADLINE_S) -> dict[str, Any]:
    """Exit code (None: missing or timed out), output and standard error of a tool."""
    tool = tool_path(command[0])
    if tool is None:
        return {"rc": None, "out": "", "err": "not installed"}
    try:
        process = subprocess.Popen(
            (tool, *command[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": search_path()},
        )
    except OSError as error:
        return {"rc": None, "out": "", "err": str(error)}
    try:
        out, err = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        process.kill()  # do not wait for it: it may be stuck in the kernel
        return {"rc": None, "out": "", "err": f"no answer within {deadline} s"}
    return {
        "rc": process.returncode,
        "out": out.decode("utf-8", "surrogateescape"),
        "err": err.decode("utf-8", "surrogateescape").strip(),
    }


def tool_path(name: str) -> str | None:
    """Path of a tool, or None."""
    for folder in filter(None, search_path().split(":")):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def search_path() -> str:
    """PATH, followed by folders that may be missing from it for users other than root."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"


def read(path: str, missing: str | None = None) -> dict[str, Any]:
    """Text of a file, or the error; ``missing`` replaces the text of an optional file."""
    try:
        with open(path, "rb") as file:
            return {"text": file.read().decode("utf-8", "surrogateescape")}
    except FileNotFoundError as error:
        return {"error": str(error)} if missing is None else {"text": missing}
    except OSError as error:
        return {"error": str(error)}


def number_of(path: str) -> str | None:
    """``MAJOR:MINOR`` of the block device at ``path``, following links."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def dev_paths(*sources: dict[str, Any]) -> list[str]:
    """Every word that starts with /dev/ in mountinfo, swaps or fstab, unescaped."""
    words = [w for source in sources for w in re.findall(r"[^ \t\n]+", source.get("text", ""))]
    return [unescape(word) for word in words if word.startswith("/dev/")]


def unescape(field: str) -> str:
    """Undo the octal escapes of proc(5) and fstab(5)."""
    raw = field.encode("utf-8", "surrogateescape")
    plain = re.sub(rb"\\([0-7]{3})", lambda m: bytes((int(m.group(1), 8) & 255,)), raw)
    return plain.decode("utf-8", "surrogateescape")


def links() -> dict[str, str | None]:
    """Stable names from udev; empty where there is no udev."""
    found = {}
    for folder in ("/dev/disk/by-id", "/dev/disk/by-path"):
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                found[f"{folder}/{name}"] = number_of(f"{folder}/{name}")
    return found


def devices(names: dict[str, str | None]) -> dict[str, dict[str, Any]]:
    """Every block device in sysfs, by number; devices without a size are omitted."""
    table: dict[str, dict[str, Any]] = {}
    for number in sorted(os.listdir("/sys/dev/block")):
        base = os.path.realpath(f"/sys/dev/block/{number}")
        device: dict[str, Any] = {"name": os.path.basename(base), "sysfs": base, "parent": None}
        for name in (*TEXTS, *MORE_TEXTS):
            text = read(f"{base}/{name}").get("text")
            device[name] = None if text is None else text.strip("\0\n ")
        if device["size"] in (None, "0"):
            continue
        link = f"{base}/device"
        device["address"] = os.path.basename(os.path.realpath(link)) if os.path.exists(link) else ""
        for name in ("holders", "slaves"):
            folder = f"{base}/{name}"
            device[name] = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        if device["partition"] is not None:
            parent = read(f"{os.path.dirname(base)}/dev").get("text")
            device["parent"] = parent.strip() if parent else "unknown"
        device["node"] = number_of("/dev/" + device["name"].replace("!", "/"))
        device["links"] = sorted(link for link, target in names.items() if target == number)
        table[number] = device
    for number, device in table.items():
        device["partitions"] = sorted(n for n, d in table.items() if d["parent"] == number)
    return table


def in_use(seen: dict[str, Any], table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mounts by device number, and device numbers of swap areas."""
    mounts = []
    for line in filter(None, seen["mountinfo"].get("text", "").split("\n")):
        fields = line.split(" ")
        source = unescape(fields[fields.index("-", 6) + 2])
        # Btrfs and others mount under an anonymous number; their source names the device.
        number = fields[2] if fields[2] in table else seen["nodes"].get(source) or fields[2]
        mounts.append({"number": number, "target": unescape(fields[4])})
    lines = seen["swaps"].get("text", "").split("\n")[1:]
    areas = [unescape(line.split()[0]) for line in lines if line]
    return {"mounts": mounts, "swaps": [seen["nodes"].get(area) for area in areas]}


def in_time(path: str) -> dict[str, Any]:
    """What :func:`place` sees, unless a dead file system blocks it."""
    seen: dict[str, Any] = {"error": f"no answer within {TOOL_DEADLINE_S} s"}

    def look() -> None:
        try:
            answer = place(path)
        except OSError as error:
            answer = {"error": str(error)}
        seen.clear()
        seen.update(answer)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(TOOL_DEADLINE_S)
    return dict(seen)


def place(path: str) -> dict[str, Any]:
    """The state of the mount point, mounted or not."""
    seen: dict[str, Any] = {"exists": os.path.lexists(path), "real": os.path.realpath(path)}
    if not seen["exists"]:
        return seen
    status = os.lstat(path)
    seen["folder"] = stat.S_ISDIR(status.st_mode)
    seen["mode"] = stat.S_IMODE(status.st_mode)
    try:
        seen["owner"] = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        seen["owner"] = str(status.st_uid)
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
    os.close(descriptor)
    return seen


if __name__ == "__main__":
    turn = take_turn()
    print(json.dumps(observe(json.loads(sys.argv[1]), sys.argv[2]), sort_keys=True), flush=True)
    os._exit(0)  # do not wait for a probe that is stuck
