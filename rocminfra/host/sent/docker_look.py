"""One look at the Docker that is there: program, unit and its flags, configuration file.

    python3 docker_look.py look DATA_ROOT
    python3 docker_look.py validate <daemon.json

``look`` prints one JSON object; of flags that are no concern of ours it prints the names only,
since a proxy flag may hold a password. ``validate`` asks the program of the daemon whether it would
start with the file on standard input and the flags of the unit: 0 or 1, with its words on stderr;
2 when it does not say, or when there is none. Before Docker 23 it has no flag for that; it is then
started as a user without rights, who gets as far as the configuration.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNIT = "docker.service"
CONFIGURATION = "/etc/docker/daemon.json"
DEFAULT_ROOT = "/var/lib/docker"
ROOT_CONTEXT = "~root/.docker/config.json"
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
# Flags whose name in daemon.json is another (dockerd(8); docs.docker.com, "dockerd").
KEYS = {
    "graph": "data-root",
    "host": "hosts",
    "label": "labels",
    "dns-opt": "dns-opts",
    "log-opt": "log-opts",
    "storage-opt": "storage-opts",
    "exec-opt": "exec-opts",
    "insecure-registry": "insecure-registries",
    "registry-mirror": "registry-mirrors",
    "authorization-plugin": "authorization-plugins",
    "add-runtime": "runtimes",
    "default-address-pool": "default-address-pools",
    "default-ulimit": "default-ulimits",
    "node-generic-resource": "node-generic-resources",
    "feature": "features",
}
SHORT = {
    "-H": "hosts",
    "-g": "data-root",
    "-s": "storage-driver",
    "-D": "debug",
    "-l": "log-level",
    "-G": "group",
    "-b": "bridge",
    "-p": "pidfile",
}
# Flags whose values decide; none of them can hold a secret.
SHOWN = (
    *("data-root", "config-file", "storage-driver", "storage-opts", "userns-remap", "log-driver"),
    *("features", "default-runtime", "hosts"),
)
# Where the client asks by itself.
SOCKETS = ("", "unix:///var/run/docker.sock", "unix:///run/docker.sock")
# systemd keeps a link here for every unit that is active, made as the unit is started.
INVOCATION = "/run/systemd/units/invocation:docker.service"
PROC = "/proc"
CLIENT = "/usr/bin/docker"  # that the unit of the engine calls
# include/uapi/linux/fs.h, of 64-bit Linux
FS_IOC_GETFLAGS, FS_IMMUTABLE_FL = 0x80086601, 0x10
# A user that nobody is, so that nobody else can read what is shown to it.
NO_ONE = 0x7FFFFFF1
NEEDS_ROOT = "needs to be started with root"


def main(arguments: list[str]) -> int:
    """Print what is there, or ask the daemon about a file; see above."""
    if arguments[0] == "validate":
        return validate(sys.stdin.read())
    print(json.dumps(look(arguments[1]), sort_keys=True))
    return 0


def look(data_root: str) -> dict[str, Any]:
    """Everything that a decision about the configuration needs."""
    program, engine = found("docker"), found("dockerd")
    words = daemon_words(run(["systemctl", "cat", UNIT]), read)
    given = flags(words)
    path = given.get("config-file", [""])[-1] or CONFIGURATION
    text = read(path)
    document = parsed(text)
    own = roots_of(document)
    unit = properties()
    roots = [data_root, DEFAULT_ROOT, *given.get("data-root", []), *own]
    return {
        "program": os.path.realpath(program) if program else None,
        "is_podman": bool(program) and is_podman(program or ""),
        "engine": engine,
        "unit": unit,
        "command": words[0] if words else None,
        "flags": {key: values if key in SHOWN else [] for key, values in given.items()},
        "file": text,
        "file_problem": file_problem(path),
        "real": {name: os.path.realpath(name) for name in (*roots, path, CONFIGURATION) if name},
        "inodes": {root: inode(root) for root in roots if root and os.path.isdir(root)},
        "context": context(),
        "host": elsewhere(),
        "has_client": os.path.exists(CLIENT),
        "has_quota": has_quota(data_root, read("/proc/self/mounts") or ""),
        "missing": sorted(path for path in runtimes_of(document) if found(path) is None),
        "rootless": sorted(glob.glob("/run/user/*/docker.sock")),
        "left": left_in(([*given.get("data-root", []), *own] or [DEFAULT_ROOT])[-1]),
        "containerd_io": os.path.exists("/var/lib/dpkg/info/containerd.io.list"),
        "is_proven": is_proven(words, unit.get("MainPID", ""), path),
    }


def validate(text: str) -> int:
    """Ask dockerd; it reads flags and file and does nothing else."""
    words = daemon_words(run(["systemctl", "cat", UNIT]), read)
    if not words or os.path.basename(words[0]) != "dockerd":
        return 2
    can_say = "--validate" in run([words[0], "--help"])
    if not can_say and os.geteuid() != 0:
        return 2
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir="/run") as file:
        file.write(text)
        file.flush()
        command = [*words, *(["--validate"] if can_say else []), "--config-file", file.name]
        if not can_say:
            os.fchown(file.fileno(), NO_ONE, NO_ONE)
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
                errors="replace",
                check=False,
                preexec_fn=None if can_say else become_no_one,
            )
        except (OSError, subprocess.SubprocessError):
            return 2
    said = done.stderr.strip().replace(file.name, CONFIGURATION)
    if done.returncode == 0 or (not can_say and NEEDS_ROOT in said):
        return 0
    if not can_say and CONFIGURATION not in said:
        return 2
    print(said, file=sys.stderr)
    return 1


def become_no_one() -> None:
    """Give up every right, so that what is started now can change nothing."""
    os.setgroups([])
    os.setresgid(NO_ONE, NO_ONE, NO_ONE)
    os.setresuid(NO_ONE, NO_ONE, NO_ONE)


def found(name: str) -> str | None:
    """Path of a program, as a shell looks for it, and in the folders of the system."""
    folders = [*os.environ.get("PATH", "").split(":"), *FOLDERS, "/snap/bin"]
    # Of an absolute path, join() makes that path.
    paths = (os.path.join(folder, name) for folder in folders if folder)
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def is_podman(program: str) -> bool:
    """Whether ``docker`` is another name of podman, as the package podman-docker makes it."""
    if os.path.basename(os.path.realpath(program)) == "podman":
        return True
    try:
        with open(program, "rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return start.startswith(b"#!") and b"podman" in start


def is_proven(words: list[str], pid: str, configuration: str) -> bool:
    """Whether the daemon was started with these words, and its file is no newer than the start.

    Unknown is no. The time of the last change, unlike that of the last writing, is also that of a
    file which was moved into place.
    """
    if not words or arguments_of(pid) != words:
        return False
    try:
        started = os.lstat(INVOCATION).st_mtime
        return not os.path.lexists(configuration) or os.stat(configuration).st_ctime < started
    except OSError:
        return False


def arguments_of(pid: str) -> list[str]:
    """Words that a process was started with; empty when there is none."""
    text = read(os.path.join(PROC, pid, "cmdline")) if pid.isdigit() else None
    return (text or "").rstrip("\0").split("\0") if text else []


def properties() -> dict[str, str]:
    """Load, active and file state of the unit and its process; empty without systemd."""
    wanted = "LoadState,ActiveState,UnitFileState,MainPID"
    text = run(["systemctl", "show", "--property", wanted, UNIT])
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def context() -> str:
    """The docker context that root has chosen; empty for the default one."""
    own = parsed(read(os.path.expanduser(ROOT_CONTEXT))).get("currentContext")
    chosen = os.environ.get("DOCKER_CONTEXT") or own
    return str(chosen) if chosen and chosen != "default" else ""


def elsewhere() -> str:
    """Where DOCKER_HOST sends the client, when that is not the socket of this host."""
    asked = os.environ.get("DOCKER_HOST", "").strip()
    return "" if asked in SOCKETS else asked


def parsed(text: str | None) -> dict[str, Any]:
    """A JSON object; an empty one for everything else."""
    try:
        document = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def roots_of(document: dict[str, Any]) -> list[str]:
    """Where a daemon.json puts the data."""
    values = map(document.get, ("data-root", "graph"))
    return [value for value in values if isinstance(value, str) and value]


def runtimes_of(document: dict[str, Any]) -> list[str]:
    """Programs that run containers."""
    runtimes = document.get("runtimes")
    entries = runtimes.values() if isinstance(runtimes, dict) else ()
    paths = [entry.get("path") for entry in entries if isinstance(entry, dict)]
    return [path for path in paths if isinstance(path, str) and path]


def file_problem(path: str) -> str:
    """Why a file is none to replace: it is something else, or made unchangeable; else empty."""
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)}"
    if os.path.lexists(path) and not os.path.isfile(path):
        return "is not a file"
    try:
        with open(path, "rb") as file:
            answer = fcntl.ioctl(file.fileno(), FS_IOC_GETFLAGS, struct.pack("l", 0))
    except OSError:
        return ""
    return "is immutable (chattr +i)" if struct.unpack("l", answer)[0] & FS_IMMUTABLE_FL else ""


def inode(path: str) -> str:
    """What a folder is, whatever it is called: a bind mount has the same."""
    status = os.stat(path)
    return f"{status.st_dev}:{status.st_ino}"


def has_quota(path: str, mounts: str) -> bool | None:
    """Whether the filesystem of a path counts project quotas; None when it is that of the root."""
    best = ("/", "")
    for line in mounts.splitlines():
        point, options = line.split(" ")[1:4:2]
        if len(point) >= len(best[0]) and (path + "/").startswith(point.rstrip("/") + "/"):
            best = (point, options)
    if best[0] == "/":
        return None
    return bool({"prjquota", "pquota"} & set(best[1].split(",")))


def left_in(root: str) -> list[str]:
    """Containers and volumes below a data-root, for a daemon that does not run to be asked."""
    found = []
    for kind in ("container", "volume"):
        try:
            names = sorted(os.listdir(os.path.join(root, f"{kind}s")))
        except OSError:
            continue
        paths = [os.path.join(root, f"{kind}s", name) for name in names]
        found += [f"{kind} {os.path.basename(path)}" for path in paths if os.path.isdir(path)]
    if os.path.exists(os.path.join(root, "swarm", "docker-state.json")):
        found.append("membership in a swarm")
    return found[:20]


def daemon_words(unit: str, read: Any) -> list[str]:
    """Command of the daemon: what ``systemctl cat`` prints, with its variables replaced.

    + read: text of a file, or None; for EnvironmentFile=

    Empty when it cannot be read as words.
    """
    command = ""
    variables: dict[str, str] = {}
    section = ""
    for line in joined(unit).splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
            continue
        name, _, value = line.partition("=")
        if section != "[Service]":
            continue
        name, value = name.strip(), value.strip()
        if name == "ExecStart":
            command = value  # an empty one takes back those before it; there is only one
        elif name == "Environment":  # as does an empty one of these
            variables = {**variables, **assignments(value)} if value else {}
        elif name == "EnvironmentFile":
            variables.update(assignments(joined(read(value.lstrip("-")) or ""), True))
    try:
        words = shlex.split(command.lstrip("@-:+!|"))
    except ValueError:
        return []
    replaced: list[str] = []
    for word in words:
        whole = re.fullmatch(r"\$(\w+)", word)
        if whole:
            replaced += variables.get(whole[1], "").split()
        else:
            replaced.append(re.sub(r"\$\{(\w+)\}", lambda m: variables.get(m[1], ""), word))
    return replaced


def joined(text: str) -> str:
    """A file of systemd without comments, its continued lines joined (systemd.syntax(7))."""
    lines = [line for line in text.splitlines() if line.lstrip()[:1] not in ("#", ";")]
    return re.sub(r"\\\n\s*", " ", "\n".join(lines))


def assignments(text: str, whole_lines: bool = False) -> dict[str, str]:
    """NAME=VALUE of Environment= (several in a line), or of a file (one a line)."""
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        for word in [" ".join(words)] if whole_lines else words:
            name, equals, value = word.partition("=")
            if equals:
                pairs[name.strip()] = value
    return pairs


def flags(words: list[str]) -> dict[str, list[str]]:
    """Flags of dockerd by their names in daemon.json, and what they are given."""
    given: dict[str, list[str]] = {}
    queue = words[1:]
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            key = KEYS.get(name[2:], name[2:])
        elif word[:2] in SHORT:
            key = SHORT[word[:2]]
            value, equals = word[2:].lstrip("="), "=" if word[2:] else ""
        else:
            continue
        if not equals and queue and not queue[0].startswith("-"):
            value = queue.pop(0)
        given.setdefault(key, []).append(value)
    return given


def read(path: str) -> str | None:
    """A text file, or None when there is none."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def run(command: list[str]) -> str:
    """What a program prints; empty when there is no such program."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, errors="replace", check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
