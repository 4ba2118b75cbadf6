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

# Progress of a possibly running benchmark; never part of its results.
STATUS = "status.json"
LOCK = "lock"
# Earlier attempts at a point, in a resumed run.
SUPERSEDED = "superseded"

_CHUNK = 1024 * 1024
_NOT_RESULTS = (MANIFEST, STATUS, LOCK)


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` atomically: a reader sees the old contents or the new, never a part.

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
    """Write a JSON value atomically, indented and in a stable order."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in a file, or None when the file is missing or not valid JSON."""
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
    """Sorted paths, relative to ``folder``, of the regular files that are results."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        half_written = path.name.startswith(".") and path.name.endswith(".new")
        if path.is_symlink() or not path.is_file() or name in _NOT_RESULTS or half_written:
            continue
        found.append(name)
    return found


def write_manifest(folder: Path) -> None:
    """Write the manifest for all results below ``folder``."""
    digests = {name: sha256(folder / name) for name in result_files(folder)}
    write_atomic(folder / MANIFEST, format_manifest(digests))


def archive(folder: Path, target: Path) -> None:
    """Pack the results in ``folder`` and their manifest into a gzip'd tar.

    + folder: a run's folder
    + target: the archive; appears when it is complete
    """
    new = target.with_name(f".{target.name}.new")
    with tarfile.open(new, "w:gz", compresslevel=6) as pack:
        for name in (MANIFEST, *result_files(folder)):
            pack.add(folder / name, arcname=name, recursive=False)
    new.replace(target)


def set_aside(folder: Path) -> None:
    """Keep the files of an earlier run of a point, which may be the only evidence of a failure.

    + folder: the point's folder; may be missing
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
    """Attempts at a point that were set aside; their seeds must not be reused.

    + folder: the point's folder
    """
    kept = [
        path
        for path in (folder.parent / SUPERSEDED).glob(f"{folder.name}-*")
        if path.name.rpartition("-")[0] == folder.name
    ]
    return sum(1 + len(list(path.glob("attempt-*/"))) for path in kept)
