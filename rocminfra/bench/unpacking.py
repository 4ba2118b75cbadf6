"""Unpack and verify a run's archive from a host."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocminfra.bench.blocks import BlockReader, BlocksError
from rocminfra.bench.remote import Readable
from rocminfra.planning.bench.manifest import (
    MANIFEST,
    ManifestError,
    check_path,
    differences,
    parse_manifest,
)

# A long sweep's reports take about 100 MB. Anything larger, or with more files, is not a result.
LIMIT_BYTES = 4 * 1024**3
LIMIT_MEMBERS = 100_000

_CHUNK = 1024 * 1024
# tarfile copies what it has read and not yet given, for every piece that it gives.
_TAR_BUFFER = 128 * 1024
# Linux: NAME_MAX, and PATH_MAX (4096) minus room for the folder it is unpacked into.
_NAME_BYTES = 255
_PATH_BYTES = 2048


@dataclass(frozen=True)
class Unpacked:
    """The contents of an archive.

    + digests: SHA-256 by path of the files that match the archive's manifest
    + problems: everything that does not match, one per line; empty when the archive is intact
    """

    digests: Mapping[str, str]
    problems: tuple[str, ...]


def unpack(
    archive: Readable,
    folder: Path,
    limit_bytes: int = LIMIT_BYTES,
    wanted: Collection[str] | None = None,
    wrote: Callable[[int], None] = lambda count: None,
) -> Unpacked:
    """Unpack a run's archive and keep only the files that match its manifest.

    + archive: tar in blocks, with the manifest as its first member; read once, from its beginning
    + folder: empty folder to unpack into
    + limit_bytes: most that is unpacked; a larger archive counts as damaged
    + wanted: files that it should hold; None for all of the manifest
    + wrote: told of bytes as they are written

    Nothing in the archive is trusted: members that are not regular files, or whose paths are
    invalid or lead out of ``folder``, are not written. A truncated archive yields the files before
    the cut. Raises OSError when the local disk fails, but never because of the archive's contents.
    """
    written, problems, begun = _extracted(archive, folder, limit_bytes, wrote)
    manifest = folder / MANIFEST
    expected: dict[str, str] = {}
    if MANIFEST not in written:
        problems.append(f"the archive has no {MANIFEST}")
    else:
        try:
            expected = parse_manifest(manifest.read_text(encoding="utf-8"))
        except (ManifestError, UnicodeDecodeError) as error:
            problems.append(str(error))
    if wanted is not None:
        expected = {path: digest for path, digest in expected.items() if path in wanted}
    digests = {path: digest for path, digest in written.items() if path != MANIFEST}
    problems.extend(differences(expected, digests))
    good = {path: digest for path, digest in digests.items() if expected.get(path) == digest}
    # Includes the file that was being written when the archive ended.
    for path in begun - good.keys() - {MANIFEST}:
        (folder / path).unlink(missing_ok=True)
    return Unpacked(good, tuple(problems))


def _extracted(
    archive: Readable, folder: Path, limit_bytes: int, wrote: Callable[[int], None]
) -> tuple[dict[str, str], list[str], set[str]]:
    """SHA-256 by path of the written files, problems with the others, and every path that was
    begun, also of a file that is not whole."""
    written: dict[str, str] = {}
    begun: set[str] = set()
    folders: set[str] = set()
    problems: list[str] = []
    left = limit_bytes
    blocks: Any = BlockReader(archive)  # tarfile reads, and nothing else
    try:
        with tarfile.open(fileobj=blocks, mode="r|", bufsize=_TAR_BUFFER) as pack:
            for number, member in enumerate(pack, start=1):
                if number > LIMIT_MEMBERS:
                    problems.append(f"the archive has more than {LIMIT_MEMBERS} files")
                    break
                problem = _refusal(member, written, folders)
                if problem is not None:
                    problems.append(problem)
                    continue
                if member.size > left:
                    problems.append(
                        f"the archive unpacks to more than {limit_bytes / 1024**2:.1f} MiB"
                    )
                    break
                left -= member.size
                above = member.name.rpartition("/")[0]
                if above not in folders:
                    (folder / above).mkdir(parents=True, exist_ok=True)
                begun.add(member.name)
                written[member.name] = _write_member(pack, member, folder, wrote)
                folders.update(_folders_of(member.name))
    except (tarfile.TarError, EOFError, BlocksError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # The local disk failed, not the archive.
            raise
        problems.append(f"the archive is truncated or damaged: {error}")
    return written, problems, begun


def _refusal(member: tarfile.TarInfo, written: Mapping[str, str], folders: set[str]) -> str | None:
    name = member.name
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return f"{name!r}: the name is not valid UTF-8"
    try:
        check_path(name)
    except ManifestError as error:
        return f"the archive has an {error}"
    if len(encoded) > _PATH_BYTES or any(len(part) > _NAME_BYTES for part in encoded.split(b"/")):
        return f"{name[:60]}…: the name is too long"
    if not member.isreg():
        return f"{name}: not a regular file"
    if name in written:
        return f"{name}: in the archive twice"
    if name in folders:
        return f"{name}: both a file and a folder"
    if any(above in written or above == MANIFEST for above in _folders_of(name)):
        return f"{name}: below a file"
    return None


def _folders_of(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _write_member(
    pack: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, wrote: Callable[[int], None]
) -> str:
    digest = hashlib.sha256()
    source = pack.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"{member.name} cannot be read")
    # Not pathlib, which takes longer than a small file.
    with source, open(f"{folder}/{member.name}", "wb") as stream:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            stream.write(chunk)
            wrote(len(chunk))
    return digest.hexdigest()
