"""Files of a benchmark run on the host: atomic writes, the manifest, archives.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from rocminfra.host.bench.blocks import BlockWriter
from rocminfra.planning.bench.manifest import (
    MANIFEST,
    check_path,
    format_manifest,
    parse_manifest,
)

# Progress of a possibly running benchmark; never part of its results.
STATUS = "status.json"
LOCK = "lock"
# Of a run that never began: id of the one that held the host.
REFUSED = "refused"
# Earlier attempts at a point, in a resumed run.
SUPERSEDED = "superseded"

_CHUNK = 1024 * 1024
_NOT_RESULTS = (MANIFEST, STATUS, LOCK, REFUSED)


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


def sync(folder: Path) -> None:
    """Bring a folder and everything below it to the disk.

    What says that a point is finished outlives a power failure, so what it speaks of must, too.

    + folder: the folder; links in it are left alone
    """
    # Names last: a folder's own are those of files whose contents are there by then.
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, indented and in a stable order."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in a file, or None when the file is missing or not valid JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The samples in a file of JSON lines, and how many lines are none: a full disk or a killed
    process cuts one off. A missing file has no lines."""
    found, damaged = [], 0
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return [], 0
    for line in filter(None, lines):
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError):
            sample = None
        if isinstance(sample, dict) and isinstance(sample.get("time", 0.0), (int, float)):
            found.append(sample)
        else:
            damaged += 1
    return found, damaged


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


def manifest_text(folder: Path) -> str:
    """The run's manifest; made in memory where there is none, as after a kill or on a full disk."""
    try:
        return (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return format_manifest({name: sha256(folder / name) for name in result_files(folder)})


def listing(folder: Path) -> dict[str, Any]:
    """The manifest's text and every file's size, by path."""
    text = manifest_text(folder)
    sizes = {
        name: (folder / name).stat().st_size
        for name in parse_manifest(text)
        if (folder / name).is_file()
    }
    return {"manifest": text, "sizes": sizes}


def pack(folder: Path, names: Iterable[str], stream: IO[bytes]) -> None:
    """Write the manifest and some results as a tar in blocks.

    + folder: a run's folder
    + names: paths below it; one that is gone is left out
    + stream: takes the archive as it is made, so that the host needs no room for it
    """
    manifest = manifest_text(folder).encode()
    blocks = BlockWriter(stream)
    # Not "w|", which copies all that it holds back for every piece that comes.
    target: Any = blocks  # tarfile writes and tells, and nothing else
    with tarfile.TarFile(fileobj=target, mode="w", copybufsize=_CHUNK) as archive:
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(manifest)
        archive.addfile(member, io.BytesIO(manifest))
        for name in names:
            path = folder / check_path(name)
            if path.is_file() and not path.is_symlink():
                # Not add(), which looks its owner up: nobody asks for it.
                with path.open("rb") as content:
                    member = tarfile.TarInfo(name)
                    member.size = os.fstat(content.fileno()).st_size
                    archive.addfile(member, content)
    blocks.close()


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
