"""What may be taken away from a host: only what its record says that rocminfra made.

The record is begun before the first apply changes anything: it holds what was there before. So what
is there now and was not then is ours, if it is also where only we write; and a file that more than
we write (``daemon.json``) is ours only as long as it is byte for byte as an apply left it. Data is
never removed, and Docker only when we installed it and nobody else uses it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from rocminfra import host_paths
from rocminfra.failure import Do, Failure, Fault

DAEMON_JSON = "/etc/docker/daemon.json"
ENGINE_UNIT = "vllm.service"
UNIT_FILE = f"{host_paths.UNITS}/{ENGINE_UNIT}"
# Files outside folders of ours, in the order in which they go.
FILES = (
    UNIT_FILE,
    DAEMON_JSON,
    host_paths.DOCKER_DROP_IN,
    host_paths.PROFILE,
    host_paths.USER_ENVIRONMENT,
    host_paths.SYSTEMD_ENVIRONMENT,
    host_paths.UDEV_RULES,
    host_paths.SYSCTL,
)
# Folders that nobody else writes.
TREES = (host_paths.SETTINGS, host_paths.PROGRAMS, host_paths.ENVIRONMENTS)
# What Docker stands on when it stays: without these it would not start, or fill the root disk.
_DOCKERS_FILES = (DAEMON_JSON, host_paths.DOCKER_DROP_IN)
_OLD_ROOT = "/var/lib/docker"
_BEFORE = "it was there before the first apply that the record knows"
# Kernel setting, the file that keeps it, and what it is without any.
NUMA = "kernel.numa_balancing"


@dataclass(frozen=True)
class Record:
    """What a host's record says.

    + before: paths that were there before the first apply
    + had_docker: whether any Docker was there before
    + had_fstab: whether fstab had an entry for the mount point before
    + had_mount: whether something was mounted there before
    + files: sha256 by path, as the last apply left them
    + fstab_line: the entry that an apply wrote, or None
    + mount_point: where it mounted the scratch disk
    + container: name of the engine's container
    + image: name of the engine's image
    + settings_before: kernel settings before, by name
    """

    before: frozenset[str] = frozenset()
    had_docker: bool = False
    had_fstab: bool = False
    had_mount: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    fstab_line: str | None = None
    mount_point: str = "/mnt/models"
    container: str = ""
    image: str = ""
    settings_before: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What is there now.

    + record: None when the host has none
    + files: sha256 of those of FILES that are there, by path
    + trees: those of TREES that are there as plain folders
    + packages: Docker's that are installed
    + purged: what removing them would remove, None when that is not known
    + docker: whether any Docker is there
    + old_root: whether Docker's usual folder on the root disk holds something
    + containers, volumes: names, None when Docker does not answer
    + mounted: whether something is mounted at the mount point
    + below: other mounts below it that are not Docker's
    + fstab_lines: entries of fstab for it
    + at_work: units of ours that are at work (a benchmark, a download)
    + runs: benchmark runs that are kept on the host
    + state: whether our state folder is there
    + load_user: whether the user is there that a load generator's run makes and removes
    """

    record: Record | None
    files: Mapping[str, str] = field(default_factory=dict)
    trees: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    purged: frozenset[str] | None = None
    docker: bool = False
    old_root: bool = False
    containers: tuple[str, ...] | None = ()
    volumes: tuple[str, ...] | None = ()
    mounted: bool = False
    below: tuple[str, ...] = ()
    fstab_lines: tuple[str, ...] = ()
    at_work: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    state: bool = True
    load_user: bool = False


class Kind(Enum):
    """Kinds of steps, in the words of the program that takes them."""

    STOP = "stop"  # unit: disabled and stopped
    PACKAGES = "packages"  # names: purged
    FILE = "file"  # path, sha256: removed
    SETTING = "setting"  # name, value: set in the kernel
    TREE = "tree"  # path: removed with everything in it
    UNMOUNT = "unmount"  # path
    FSTAB = "fstab"  # line: removed from fstab
    MOUNT_POINT = "mount-point"  # path: an empty folder, removed
    USER = "user"  # name, home: removed
    STATE = "state"  # path, keep: removed except for these names


@dataclass(frozen=True)
class Step:
    """One thing to take away.

    + kind: what kind of thing
    + words: for people
    + arguments: what the program on the host needs; plain JSON values
    """

    kind: Kind
    words: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """Something that stays.

    + what: what stays
    + why: why
    """

    what: str
    why: str


@dataclass(frozen=True)
class Removal:
    """What is taken away, in this order, and what stays."""

    steps: tuple[Step, ...]
    kept: tuple[Kept, ...]


def decide(seen: Seen, with_runs: bool = False) -> Removal | Failure:
    """What to take away from a host, or why nothing.

    + with_runs: also the benchmark runs that are kept on the host
    """
    record = seen.record
    if record is None:
        return Failure(
            Fault.NO_RECORD,
            "the host has no record of what rocminfra made there, so nothing is removed",
            ("apply begins it; plain pyinfra and earlier versions did not",),
            Do("rocminfra docs undo   # the commands, to run by hand"),
        )
    if seen.at_work:
        return Failure(
            Fault.BENCHMARK_RUNNING,
            "something of rocminfra is at work on the host",
            seen.at_work,
            Do(f"wait for it; or on the host: systemctl stop {' '.join(seen.at_work)}"),
        )
    if UNIT_FILE in seen.files and not _is_ours(UNIT_FILE, seen, record):
        # It may serve, and would with nothing of what it stands on.
        return Failure(
            Fault.ENGINE_UNIT_NOT_OURS,
            f"{UNIT_FILE} is not as an apply left it, so nothing is removed",
            ("somebody has changed it, or the last apply was cut off",),
            Do(f"rocminfra apply, which makes it ours again; or on the host: rm {UNIT_FILE}"),
        )
    docker = _why_docker_stays(seen, record)
    steps: list[Step] = []
    kept: list[Kept] = []
    _engine(seen, record, steps, kept)
    if docker is None:
        if seen.packages:
            names = sorted(seen.packages)
            arguments = {"names": names, "container": record.container}
            words = f"remove Docker, which apply installed: {', '.join(names)}"
            steps.append(Step(Kind.PACKAGES, words, arguments))
    else:
        kept.append(Kept("Docker, with its configuration", docker))
    for path in FILES[1:]:
        if docker is None or path not in _DOCKERS_FILES:
            _file(path, seen, record, steps, kept)
    for path in TREES:
        _tree(path, docker is not None, seen, record, steps, kept)
    _mount(docker is not None, seen, record, steps, kept)
    if seen.load_user:
        # Left by a run whose host lost its power; the next run's end would remove it, too.
        arguments = {"name": host_paths.LOAD_USER, "home": host_paths.LOAD_HOME}
        words = f"remove the user {host_paths.LOAD_USER} of a run that was cut off"
        steps.append(Step(Kind.USER, words, arguments))
    if seen.state:
        keep = sorted(seen.runs) if not with_runs else []
        if keep:
            what = f"{len(keep)} benchmark runs in {host_paths.RUNS}"
            kept.append(Kept(what, "they may be the only copy; --runs removes them too"))
        words = f"remove {host_paths.STATE}: record, book, lock and data sets"
        words += f", and {len(seen.runs)} benchmark runs" if with_runs and seen.runs else ""
        steps.append(Step(Kind.STATE, words, {"path": host_paths.STATE, "keep_runs": bool(keep)}))
    kept.append(Kept("all data on the scratch disk: models, caches, images", "it is data"))
    return Removal(tuple(steps), tuple(kept))


def _why_docker_stays(seen: Seen, record: Record) -> str | None:
    """Why Docker is not ours to remove; None when it is, or when there is none."""
    if record.had_docker:
        return _BEFORE
    if not seen.packages:
        return "it is of no package that apply installs" if seen.docker else None
    if seen.containers is None or seen.volumes is None:
        return "it does not answer, so nobody knows what else it runs"
    others = sorted(set(seen.containers) - {record.container})
    if others:
        return f"it has other containers: {', '.join(others)}"
    if seen.volumes:
        return f"it has volumes: {', '.join(sorted(seen.volumes))}"
    if seen.old_root:
        return f"{_OLD_ROOT} holds data"
    if seen.purged is None:
        return "what else would go with its packages is not known"
    more = sorted(seen.purged - seen.packages)
    if more:
        return f"other packages need it: {', '.join(more)}"
    return None


def _engine(seen: Seen, record: Record, steps: list[Step], kept: list[Kept]) -> None:
    if UNIT_FILE not in seen.files:
        return
    words = f"stop and disable {ENGINE_UNIT}: the engine answers no more"
    steps.append(Step(Kind.STOP, words, {"unit": ENGINE_UNIT}))
    _file(UNIT_FILE, seen, record, steps, kept)


def _file(path: str, seen: Seen, record: Record, steps: list[Step], kept: list[Kept]) -> None:
    digest = seen.files.get(path)
    if digest is None:
        return
    if path in record.before:
        kept.append(Kept(path, _BEFORE))
    elif not _is_ours(path, seen, record):
        kept.append(Kept(path, "it is not as apply left it"))
    else:
        folder = posixpath.dirname(path) not in record.before
        arguments = {"path": path, "sha256": digest, "folder": folder}
        steps.append(Step(Kind.FILE, f"remove {path}", arguments))
        value = record.settings_before.get(NUMA)
        if path == host_paths.SYSCTL and value is not None:
            words = f"set {NUMA} to {value}, as it was"
            steps.append(Step(Kind.SETTING, words, {"name": NUMA, "value": value}))


def _is_ours(path: str, seen: Seen, record: Record) -> bool:
    """Whether a file that is there is one that we made and nobody has changed since.

    An apply that was cut off has left no hash; then a name that only we use has to do.
    """
    if path in record.before:
        return False
    left = record.files.get(path)
    if left is None:
        return "rocminfra" in path
    return left == seen.files[path]


def _tree(
    path: str,
    docker_stays: bool,
    seen: Seen,
    record: Record,
    steps: list[Step],
    kept: list[Kept],
) -> None:
    if path not in seen.trees:
        return
    if path in record.before:
        kept.append(Kept(path, _BEFORE))
        return
    keep = []
    if path == host_paths.PROGRAMS and docker_stays and host_paths.DOCKER_DROP_IN in seen.files:
        keep = [host_paths.SCRATCH_GUARD]
        kept.append(Kept(host_paths.SCRATCH_GUARD, "docker.service starts with it"))
    steps.append(Step(Kind.TREE, f"remove {path} with what is in it", {"path": path, "keep": keep}))


def _mount(
    docker_stays: bool, seen: Seen, record: Record, steps: list[Step], kept: list[Kept]
) -> None:
    place = record.mount_point
    if not seen.mounted and not seen.fstab_lines:
        if place not in record.before:
            words = f"remove the empty folder {place}"
            steps.append(Step(Kind.MOUNT_POINT, words, {"path": place}))
        return
    why = _why_mount_stays(docker_stays, seen, record)
    if why is not None:
        kept.append(Kept(f"{place}, mounted and in fstab", why))
        return
    if seen.mounted:
        steps.append(Step(Kind.UNMOUNT, f"unmount {place}; its data stays", {"path": place}))
    for line in seen.fstab_lines:
        words = f"remove its line from /etc/fstab: {line}"
        steps.append(Step(Kind.FSTAB, words, {"line": line}))
    if place not in record.before:
        words = f"remove the empty folder {place}"
        steps.append(Step(Kind.MOUNT_POINT, words, {"path": place}))


def _why_mount_stays(docker_stays: bool, seen: Seen, record: Record) -> str | None:
    if record.had_mount or record.had_fstab:
        return _BEFORE
    if docker_stays:
        return "Docker has its data there"
    if seen.below:
        return f"something is mounted below it: {', '.join(seen.below)}"
    if any(line != record.fstab_line for line in seen.fstab_lines):
        return "its line in fstab is not as apply left it"
    return None
