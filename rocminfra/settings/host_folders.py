"""Folders on the host: what a path there may be, and which must not be mounted over or shared."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

# Folders of the system in which nothing of ours belongs, and those that hold more than ours.
_SYSTEM_TREES = (
    *("/boot", "/etc", "/usr", "/dev", "/proc", "/sys", "/run", "/bin", "/sbin"),
    *("/lib", "/lib32", "/lib64", "/libx32"),
)
_SYSTEM = (
    *("/", "/var", "/home", "/root", "/tmp", "/opt", "/opt/rocm", "/opt/rocminfra"),
    *("/var/lib", "/var/log", "/var/cache", "/var/spool", "/var/tmp", "/var/lib/dpkg"),
)


def absolute(path: str) -> str:
    """The path in its shortest form; raises ValueError for one that is none on a host."""
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("must be an absolute path without '..'")
    if not path.replace(" ", "").isprintable():
        raise ValueError("must not contain control characters")
    if any(part != part.strip() for part in path.split("/")):
        raise ValueError("has a folder whose name begins or ends with a blank")
    return "/" + posixpath.normpath(path).lstrip("/")


def is_systems(path: str) -> bool:
    """Whether a path is a folder of the system, over which no disk may be mounted."""
    return path in _SYSTEM or any(is_in(path, tree) for tree in _SYSTEM_TREES)


def is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def shared(folders: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of names of which the first one's folder is the second one's, or lies below it.

    + folders: paths by name
    """
    for name, path in folders.items():
        for other, tree in folders.items():
            if name != other and is_in(path, tree) and (path != tree or name > other):
                yield name, other
