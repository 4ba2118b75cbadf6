"""A run's archive from a host, unpacked and verified."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rocminfra.planning.bench.manifest import (
    MANIFEST,
    ManifestError,
    check_path,
    differences,
    parse_manifest,
)

# A long sweep's reports are some 100 MB. More than this, or more files, is no result of ours.
LIMIT_BYTES = 4 * 1024**3
LIMIT_MEMBERS = 100_000

_CHUNK = 1024 * 1024
# Linux: NAME_MAX, and PATH_MAX (4096) less room for the folder that it is unpacked into.
_NAME_BYTES = 255
_PATH_BYTES = 2048


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive.

    + digests: SHA-256 by path of the files that agree with the archive's manifest
    + problems: everything that does not, a line each; empty when the archive is whole
    """

    digests: Mapping[str, str]
    problems: tuple[str, ...]


def unpack(archive: Path, folder: Path, limit_bytes: int = LIMIT_BYTES) -> Unpacked:
    """Unpack a run's archive and keep only what its manifest vouches for.

    + archive: gzip'd tar with the manifest as its first member
    + folder: empty folder to unpack into
    + limit_bytes: no more than this is unpacked; what is larger is damaged

    Nothing in the archive is trusted: members that are no plain files, or whose paths lead out of
    ``folder`` or cannot be, are not written. An archive that is cut off gives what came before
    the cut. Raises OSError when this machine's disk fails, and for nothing that the archive holds.
    """
    written, problems = _extracted(archive, folder, limit_bytes)
    manifest = folder / MANIFEST
    expected: dict[str, str] = {}
    if MANIFEST not in written:
        problems.append(f"the archive holds no {MANIFEST}")
    else:
        try:
            expected = parse_manifest(manifest.read_text(encoding="utf-8"))
        except (ManifestError, UnicodeDecodeError) as error:
            problems.append(str(error))
    digests = {path: digest for path, digest in written.items() if path != MANIFEST}
    problems.extend(differences(expected, digests))
    good = {path: digest for path, digest in digests.items() if expected.get(path) == digest}
    kept = {folder / path for path in good} | {manifest}
    for path in folder.rglob("*"):
        # Also what was being written when the archive ended.
        if path.is_file() and path not in kept:
            path.unlink()
    return Unpacked(good, tuple(problems))


def _extracted(archive: Path, folder: Path, limit_bytes: int) -> tuple[dict[str, str], list[str]]:
    """SHA-256 by path of what was written, and what was not."""
    written: dict[str, str] = {}
    folders: set[str] = set()
    problems: list[str] = []
    left = limit_bytes
    try:
        with tarfile.open(archive, "r:gz") as pack:
            for number, member in enumerate(pack, start=1):
                if number > LIMIT_MEMBERS:
                    problems.append(f"the archive holds more than {LIMIT_MEMBERS} files")
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
                written[member.name] = _write_member(pack, member, folder)
                folders.update(_folders_of(member.name))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # Our own disk, not the archive's contents.
            raise
        problems.append(f"the archive is cut off or damaged: {error}")
    return written, problems


def _refusal(member: tarfile.TarInfo, written: Mapping[str, str], folders: set[str]) -> str | None:
    name = member.name
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return f"{name!r}: the name is no UTF-8"
    try:
        check_path(name)
    except ManifestError as error:
        return f"the archive holds an {error}"
    if len(encoded) > _PATH_BYTES or any(len(part) > _NAME_BYTES for part in encoded.split(b"/")):
        return f"{name[:60]}…: the name is too long"
    if not member.isreg():
        return f"{name}: not a plain file"
    if name in written:
        return f"{name}: in the archive twice"
    if name in folders:
        return f"{name}: a file and a folder"
    if any(above in written or above == MANIFEST for above in _folders_of(name)):
        return f"{name}: below a file"
    return None


def _folders_of(name: str) -> list[str]:
    return [str(above) for above in PurePosixPath(name).parents if str(above) != "."]


def _write_member(pack: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    source = pack.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"{member.name} cannot be read")
    with source, target.open("wb") as stream:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            stream.write(chunk)
    return digest.hexdigest()
