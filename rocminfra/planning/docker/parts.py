"""Parts of a Docker's configuration that ``dockerd --validate`` takes and its start does not.

Or that an engine cannot be run with: storage, logs, runtimes.

What a Docker has started with, and what stays as it is, is not judged: it has shown to take that.

Sources: docs.docker.com ("Select a storage driver", "Configure logging drivers", "Alternative
container runtimes"); moby, daemon/logger (log options are checked against the driver when the
daemon starts) and daemon/graphdriver/overlay2 (``overlay2.size`` needs XFS with project quotas, and
options of another driver end the start).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping

from rocminfra.failure import Again, Failure, Fault
from rocminfra.planning.docker.observation import DockerSeen

# Need a filesystem, or a volume, of their own (docs.docker.com, "Select a storage driver").
_OWN_STORAGE = {"btrfs": "btrfs", "zfs": "zfs", "devicemapper": "a thin pool"}
# Of the containerd image store only: dockerd knows no storage driver of these names.
_SNAPSHOTTERS = frozenset({"overlayfs", "native", "stargz", "nydus", "soci"})
# All that a Docker on Linux may have; a plugin's name has a slash in it.
_DRIVERS = {"overlay2", "overlay", "fuse-overlayfs", "vfs", *_OWN_STORAGE, *_SNAPSHOTTERS}
# How options of those drivers begin.
_OWN_OPTIONS = ("btrfs.", "zfs.", "dm.")
# Options of every driver (daemon/logger and its loggerutils/cache), and of the two that keep files.
_LOG_OPTIONS = frozenset(
    {
        *("mode", "max-buffer-size"),
        *("cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"),
    }
)
_FILE_OPTIONS = frozenset({"max-size", "max-file", "compress"})
_LOG_OPTIONS_OF: Mapping[str, frozenset[str]] = {
    "json-file": _FILE_OPTIONS | {"labels", "labels-regex", "env", "env-regex", "tag"},
    "local": _FILE_OPTIONS,
}
# Drivers that keep no files, and take none of those options.
_OTHER_DRIVERS = frozenset(
    {"awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog"}
)
# Sandboxes and virtual machines, by words in names of runtimes and programs: no GPU of the host is
# in them.
_SANDBOXES = frozenset({"runsc", "gvisor", "kata"})
_STOCK_RUNTIMES = ("runc", "io.containerd.runc.v2")

LOGS, STORAGE, RUNTIMES = "logs", "storage", "runtimes"
# What each part depends on; storage on where the data is as well.
_KEYS: Mapping[str, frozenset[str]] = {
    LOGS: frozenset({"log-driver", "log-opts"}),
    STORAGE: frozenset({"storage-driver", "storage-opts", "features", "data-root", "graph"}),
    RUNTIMES: frozenset({"default-runtime", "runtimes"}),
}


def shown(changed: Collection[str], serves: bool) -> frozenset[str]:
    """Parts that a Docker has shown to start with: it runs with them, and they stay as they are.

    + changed: keys of daemon.json that are to be written
    + serves: whether its data is where it is to be
    """
    kept = {part for part, keys in _KEYS.items() if not keys & set(changed)}
    return frozenset(kept if serves else kept - {STORAGE})


def problem(
    seen: DockerSeen,
    merged: Mapping[str, object],
    data_root: str,
    is_own_store: bool,
    shown: Collection[str] = (),
) -> Failure | None:
    """Why Docker would not start with this file, or would run no engine; None when it may.

    + merged: daemon.json as it is to be
    + is_own_store: whether images are kept in Docker's own store, below its data
    + shown: parts that this Docker has started with; see :func:`shown`
    """
    refused = None
    if STORAGE not in shown:
        refused = _about_storage(seen, merged, data_root, is_own_store)
        refused = refused or _about_storage_options(seen, merged, data_root, is_own_store)
    if LOGS not in shown:
        refused = refused or _about_logs(seen, merged)
    return refused or _about_runtime(seen, merged, is_known=RUNTIMES in shown)


def _about_storage(
    seen: DockerSeen, merged: Mapping[str, object], data_root: str, is_own_store: bool
) -> Failure | None:
    driver = str(_given(seen, merged, "storage-driver"))
    if driver and driver not in _DRIVERS and "/" not in driver:
        return _remove(
            f"Docker is told to use the storage driver {driver}, which it does not have",
            "storage-driver",
        )
    if driver in _OWN_STORAGE:
        return _remove(
            f"Docker is told to use the storage driver {driver}, which needs "
            f"{_OWN_STORAGE[driver]}, and {data_root} is on XFS",
            "storage-driver",
        )
    if driver in _SNAPSHOTTERS and is_own_store:
        return _remove(
            f"Docker is told to use {driver}, which is of the containerd image store; that one "
            "keeps images on the root disk",
            "storage-driver",
        )
    return None


def _about_storage_options(
    seen: DockerSeen, merged: Mapping[str, object], data_root: str, is_own_store: bool
) -> Failure | None:
    given = merged.get("storage-opts")
    options = [*(given if isinstance(given, list) else ()), *seen.flags.get("storage-opts", ())]
    names = {str(option).partition("=")[0].strip().lower() for option in options}
    driver = _given(seen, merged, "storage-driver") or "overlay2"
    others = sorted(name for name in names if name.startswith(_OWN_OPTIONS))
    if others and is_own_store and driver == "overlay2":
        return _remove(
            f"Docker is told storage-opts of another storage driver than overlay2, which it uses "
            f"in {data_root}: {', '.join(others)}",
            "them from storage-opts",
        )
    if "overlay2.size" not in names or seen.has_quota is not False:
        return None
    return _remove(
        f"Docker is told to limit containers by overlay2.size, which needs project quotas, and "
        f"the disk of {data_root} is mounted without them",
        "overlay2.size from storage-opts",
    )


def _about_logs(seen: DockerSeen, merged: Mapping[str, object]) -> Failure | None:
    driver = str(_given(seen, merged, "log-driver") or "json-file")
    options = merged.get("log-opts")
    known = _LOG_OPTIONS_OF.get(driver)
    if options is not None and not _is_of_texts(options):
        return _remove(
            "Docker does not start with log-opts that are no texts by their names, as in "
            '{"max-size": "10m", "max-file": "3"}',
            "them from log-opts, or put their values in quotes",
        )
    if not isinstance(options, dict) or (known is None and driver not in _OTHER_DRIVERS):
        return None
    given = set(options)
    others = sorted(given & _FILE_OPTIONS if known is None else given - known - _LOG_OPTIONS)
    if not others:
        return None
    return _remove(
        f"Docker does not start with log-opts that its log driver {driver} does not have: "
        f"{', '.join(others)}",
        "them from log-opts",
    )


def _is_of_texts(options: object) -> bool:
    return isinstance(options, dict) and all(isinstance(one, str) for one in options.values())


def _about_runtime(
    seen: DockerSeen, merged: Mapping[str, object], is_known: bool
) -> Failure | None:
    name = str(_given(seen, merged, "default-runtime"))
    if not name or name in _STOCK_RUNTIMES:
        return None
    runtimes = merged.get("runtimes")
    entry = runtimes.get(name) if isinstance(runtimes, dict) else None
    program = str(entry.get("path") or "") if isinstance(entry, dict) else ""
    kind = str(entry.get("runtimeType") or "") if isinstance(entry, dict) else ""
    if any(_is_sandbox(text) for text in (name, program, kind)):
        return _remove(
            f"containers run in a sandbox here (default-runtime {name}), and no GPU is in it",
            "default-runtime",
        )
    if program in seen.missing:
        return _remove(
            f"containers are run by {program} here (default-runtime {name}), which is not on "
            "the host",
            "default-runtime",
        )
    # containerd knows shims by names like these, without an entry.
    is_known |= entry is not None or "runtimes" in seen.flags or name.startswith("io.containerd.")
    if is_known:
        return None
    return _remove(
        f"Docker does not start with the default-runtime {name}, which no entry of runtimes "
        "describes",
        "default-runtime",
    )


def _is_sandbox(name: str) -> bool:
    """By whole words of a name, or of a program without its folder: ``kata-qemu``, ``runsc``."""
    return bool(_SANDBOXES & set(re.split(r"[^a-z0-9]+", posixpath.basename(name).lower())))


def _given(seen: DockerSeen, merged: Mapping[str, object], key: str) -> object:
    """What file or flag say; empty when they say nothing."""
    return merged.get(key) or (seen.flags.get(key) or ("",))[-1]


def _remove(what: str, key: str) -> Failure:
    return Failure(
        Fault.DOCKER_CONFIGURATION_UNFIT,
        what,
        next=Again(f"on the host, remove {key} from Docker's configuration, then"),
    )
