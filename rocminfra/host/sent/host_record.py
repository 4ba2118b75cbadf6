"""What was on a host before rocminfra, what an apply left, and what is there now.

    echo REQUEST | python3 host_record.py begin FILE     # before an apply changes anything
    echo REQUEST | python3 host_record.py update FILE    # what an apply left
    echo REQUEST | python3 host_record.py look FILE      # prints record and present state

The request is a JSON object: paths, files, trees, mount_point, data_root, container, image,
setting, state, runs, units, user, home. Prints one JSON object. ``look`` changes nothing.

Standard library only: this file is piped into python3 on the host.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

Json = Any
FSTAB = "/etc/fstab"
OLD_ROOT = "/var/lib/docker"
# Of Docker's own packages, and Debian's.
_DOCKER = re.compile(r"^(docker\.io|docker-cli|docker-ce|docker-ce-cli|moby-engine|moby-cli)$")


def begin(file: Path, request: Json) -> Json:
    """Write down what is there, unless that was done before.

    A Docker that came since, and not in a run of ours, is noted as somebody's.
    """
    record = read(file)
    if record is not None:
        if has_docker() and not record.get("docker_by_us"):
            record["before"]["docker"] = True
            write(file, record)
        return {"begun": False}
    place = request["mount_point"]
    before = {
        "paths": sorted(path for path in request["paths"] if os.path.lexists(path)),
        "docker": has_docker(),
        "fstab": bool(fstab_lines(Path(FSTAB), place)),
        "mount": os.path.ismount(place),
        "settings": {request["setting"]: setting(request["setting"])},
    }
    write(file, {"version": 1, "before": before, "files": {}, "fstab_line": None})
    return {"begun": True}


def update(file: Path, request: Json) -> Json:
    """Write down what an apply left; what was there before is kept as it was written."""
    record = read(file)
    if record is None:
        return {"updated": False}
    place = request["mount_point"]
    lines = fstab_lines(Path(FSTAB), place)
    record["docker_by_us"] = has_docker() and not record["before"]["docker"]
    record["files"] = hashes(request["files"])
    record["fstab_line"] = lines[0] if len(lines) == 1 else None
    for key in ("mount_point", "data_root", "container", "image"):
        record[key] = request[key]
    write(file, record)
    return {"updated": True}


def look(file: Path, request: Json) -> Json:
    """The record, and the present state of all that it may be about."""
    record = read(file)
    place = (record or {}).get("mount_point") or request["mount_point"]
    data_root = (record or {}).get("data_root") or request["data_root"]
    packages = sorted(name for name in installed() if _DOCKER.match(name))
    return {
        "record": record,
        "mount_point": place,
        "files": hashes(request["files"]),
        "trees": [path for path in request["trees"] if is_plain_folder(path)],
        "packages": packages,
        "purged": purged(packages),
        "docker": has_docker(),
        "old_root": has_content(OLD_ROOT),
        "containers": docker("ps", "--all", "--format", "{{.Names}}"),
        "volumes": docker("volume", "ls", "--format", "{{.Name}}"),
        "mounted": os.path.ismount(place),
        "below": mounts_below(place, data_root),
        "fstab_lines": fstab_lines(Path(FSTAB), place),
        "at_work": at_work(request["units"]),
        "runs": names(request["runs"]),
        "state": os.path.isdir(request["state"]),
        "user": has_user(request["user"], request["home"]),
    }


def has_user(name: str, home: str) -> bool:
    """Whether there is a user of this name whose home folder is this one."""
    try:
        return pwd.getpwnam(name).pw_dir == home
    except KeyError:
        return False


def fstab_lines(fstab: Path, place: str) -> list[str]:
    """Entries of a mount point, without their newline."""
    try:
        text = fstab.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return []
    return [line for line in text.split("\n") if _is_for(line, place)]


def _is_for(line: str, place: str) -> bool:
    fields = line.split()
    if len(fields) < 2 or fields[0].startswith("#"):
        return False
    found = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), fields[1])
    return found[:1] == "/" and posixpath.normpath(found) == posixpath.normpath(place)


def hashes(paths: list[str]) -> dict[str, str]:
    """sha256 of those that are regular files."""
    found = {}
    for path in paths:
        if os.path.isfile(path) and not os.path.islink(path):
            found[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return found


def is_plain_folder(path: str) -> bool:
    """Whether a path is a folder, no link and no mount."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.path.ismount(path)


def has_content(path: str) -> bool:
    """Whether a folder holds anything; what cannot be read counts as content."""
    try:
        return bool(os.listdir(path))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def names(folder: str) -> list[str]:
    """Names in a folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def setting(name: str) -> str | None:
    """A kernel setting; None on kernels without it."""
    try:
        path = Path("/proc/sys") / name.replace(".", "/")
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def has_docker() -> bool:
    """Whether any Docker is there: a package, a unit, a program, or data."""
    if any(_DOCKER.match(name) for name in installed()):
        return True
    folders = ("/usr/bin", "/usr/local/bin", "/usr/sbin", "/snap/bin")
    places = [f"{folder}/dockerd" for folder in folders]
    units = ("/etc/systemd/system", "/lib/systemd/system")
    places += [f"{folder}/docker.service" for folder in units]
    return any(map(os.path.lexists, places)) or has_content(OLD_ROOT)


def installed() -> list[str]:
    """Packages that are installed, also those that are half there."""
    text = _must(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n"])
    lines = (line.split() for line in text.splitlines())
    gone = ("not-installed", "config-files")
    return [words[0] for words in lines if len(words) == 2 and words[1] not in gone]


def purged(packages: list[str]) -> list[str] | None:
    """What apt would remove with these packages; None when it does not say."""
    if not packages:
        return []
    done = _run(["apt-get", "--simulate", "purge", "--", *packages])
    if done is None:
        return None
    return sorted(set(re.findall(r"^(?:Purg|Remv) (\S+)", done, flags=re.MULTILINE)))


def docker(*words: str) -> list[str] | None:
    """Lines of Docker's answer; None when it gives none."""
    try:
        done = subprocess.run(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return sorted(done.stdout.decode("utf-8", "replace").split()) if done.returncode == 0 else None


def mounts_below(place: str, data_root: str) -> list[str]:
    """Mounts below a mount point, other than those of Docker's running containers."""
    found = []
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    for line in text.splitlines():
        target = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), line.split()[4])
        if target.startswith(f"{place}/") and not target.startswith(f"{data_root}/"):
            found.append(target)
    return sorted(found)


def at_work(patterns: list[str]) -> list[str]:
    """Units, of these names, that do something which would be lost."""
    states = "--state=active,activating,deactivating,reloading"
    text = _must(["systemctl", "list-units", "--plain", "--no-legend", states, *patterns])
    return sorted(line.split()[0] for line in text.splitlines() if line.split())


def read(file: Path) -> Json:
    """The record; None when there is none. One that is damaged raises ValueError."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    record = json.loads(text)
    if not isinstance(record, dict) or record.get("version") != 1:
        raise ValueError(f"{file} is no record that this version understands")
    return record


def write(file: Path, record: Json) -> None:
    """Replace the record by a rename, so that it is whole or the old one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(str(fresh), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
        out.flush()
        os.fsync(out.fileno())
    os.rename(str(fresh), str(file))
    folder = os.open(str(file.parent), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _must(command: list[str]) -> str:
    """What a command says, without which nothing can be said at all."""
    found = _run(command)
    if found is None:
        raise ValueError(f"{' '.join(command)} failed")
    return found


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def main() -> int:
    """Run from the command line."""
    action, file = sys.argv[1:]
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"begin": begin, "update": update, "look": look}[action](Path(file), request)
    except (OSError, ValueError) as error:
        print(f"host record: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
