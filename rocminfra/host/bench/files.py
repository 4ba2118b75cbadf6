"""Files of a benchmark run on the host: atomic writes, the manifest, the archive.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.manifest import MANIFEST, format_manifest

# The progress of a run that may still go on; never part of its results.
STATUS = "status.json"
LOCK = "lock"
# What earlier attempts at a point left, in a run that was resumed.
SUPERSEDED = "superseded"

_CHUNK = 1024 * 1024
_NOT_RESULTS = (MANIFEST, STATUS, LOCK)


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` so that a reader finds the old contents or the new, never a part.

    + path: the file
    + text: its contents
    """
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, readable and in a stable order."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in a file, or None when there is no such file or it holds no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def result_files(folder: Path) -> list[str]:
    """Paths, relative to ``folder``, of the regular files that are results, sorted."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        half_written = path.name.startswith(".") and path.name.endswith(".new")
        if path.is_symlink() or not path.is_file() or name in _NOT_RESULTS or half_written:
            continue
        found.append(name)
    return found


def write_manifest(folder: Path) -> None:
    """Write the manifest of all results below ``folder``."""
    digests = {name: sha256(folder / name) for name in result_files(folder)}
    write_atomic(folder / MANIFEST, format_manifest(digests))


def archive(folder: Path, target: Path) -> None:
    """Pack the results of ``folder`` and their manifest into a gzip'd tar.

    + folder: a run's folder
    + target: the archive; appears when it is whole
    """
    new = target.with_name(f".{target.name}.new")
    with tarfile.open(new, "w:gz", compresslevel=6) as pack:
        for name in (MANIFEST, *result_files(folder)):
            pack.add(folder / name, arcname=name, recursive=False)
    new.replace(target)


def set_aside(folder: Path) -> None:
    """Keep what an earlier run of a point left: it may be the only evidence of what went wrong.

    + folder: the point's folder; nothing happens when there is none
    """
    if not folder.exists():
        return
    aside = folder.parent / SUPERSEDED
    aside.mkdir(exist_ok=True)
    number = 1
    while (aside / f"{folder.name}-{number}").exists():
        number += 1
    folder.rename(aside / f"{folder.name}-{number}")


def earlier_attempts(folder: Path) -> int:
    """Attempts at a point that were set aside: none of their seeds is used again.

    + folder: the point's folder
    """
    kept = [
        path
        for path in (folder.parent / SUPERSEDED).glob(f"{folder.name}-*")
        if path.name.rpartition("-")[0] == folder.name
    ]
    return sum(1 + len(list(path.glob("attempt-*/"))) for path in kept)
