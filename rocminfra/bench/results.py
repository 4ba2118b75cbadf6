"""Results on the operator's machine: unpacked, verified, and published by a rename.

::

    results/<run>/MANIFEST.sha256          covers everything below, checked by sha256sum -c
    results/<run>/<host>/<point>/…
    results/<run>/<host>/PARTIAL           only when something is missing; says what
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rocminfra.planning.manifest import (
    MANIFEST,
    ManifestError,
    check_path,
    differences,
    format_manifest,
    parse_manifest,
)
from rocminfra.report.table import PARTIAL

INCOMING = ".incoming"
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive.

    + digests: SHA-256 by path of the files that agree with the archive's manifest
    + problems: everything that does not, a line each; empty when the archive is whole
    """

    digests: Mapping[str, str]
    problems: tuple[str, ...]


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack a run's archive and keep only what its manifest vouches for.

    + archive: gzip'd tar with the manifest as its first member
    + folder: empty folder to unpack into

    Nothing in the archive is trusted: members that are no plain files, or whose paths lead out of
    ``folder``, are not written. An archive that is cut off gives what came before the cut.
    """
    digests: dict[str, str] = {}
    problems: list[str] = []
    try:
        with tarfile.open(archive, "r:gz") as pack:
            for member in pack:
                problem = _refusal(member, digests)
                if problem is not None:
                    problems.append(problem)
                    continue
                digests[member.name] = _write_member(pack, member, folder)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # Our own disk, not the archive's contents.
            raise
        problems.append(f"the archive is cut off or damaged: {error}")
    digests.pop(MANIFEST, None)
    try:
        expected = parse_manifest((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"the archive holds no {MANIFEST}")
        expected = {}
    except (ManifestError, UnicodeDecodeError) as error:
        problems.append(str(error))
        expected = {}
    problems.extend(differences(expected, digests))
    good = {path: digest for path, digest in digests.items() if expected.get(path) == digest}
    for path in set(digests) - set(good):
        (folder / path).unlink()
    return Unpacked(good, tuple(problems))


@contextmanager
def staging(results: Path, run: str, host: str) -> Iterator[Path]:
    """A folder beside the results for what is not yet verified; gone afterwards.

    + results: folder of all runs, made when it is missing
    + run: id of the run
    + host: name of the host
    """
    folder = results / INCOMING / f"{run}-{folder_name(host)}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any((results / INCOMING).iterdir()):
            (results / INCOMING).rmdir()


def publish(results: Path, run: str, host: str, staged: Path, missing: Sequence[str]) -> Path:
    """Make a host's verified results appear in the run's folder, by one rename.

    + results: folder of all runs
    + run: id of the run
    + host: name of the host
    + staged: folder with nothing but the host's verified files, on the same file system
    + missing: why the results are partial, a line each; empty when they are complete

    Returns the host's folder. What stood there before, from an earlier attempt, is replaced.
    """
    if missing:
        (staged / PARTIAL).write_text("".join(f"{line}\n" for line in missing), encoding="utf-8")
    name = folder_name(host)
    target = results / run
    own = {f"{name}/{path}": digest for path, digest in digests_below(staged).items()}
    if not target.exists():
        # The whole run at once, so that no run's folder is ever without its manifest.
        whole = staged.parent / f"{staged.name}.run"
        whole.mkdir()
        staged.rename(whole / name)
        (whole / MANIFEST).write_text(format_manifest(own), encoding="utf-8")
        whole.rename(target)
        return target / name
    before = _run_manifest(target)
    merged = {path: digest for path, digest in before.items() if path.split("/")[0] != name}
    new = target / f".{MANIFEST}.new"
    new.write_text(format_manifest({**merged, **own}), encoding="utf-8")
    old = staged.parent / f"{staged.name}.old"
    if (target / name).exists():
        (target / name).rename(old)
    staged.rename(target / name)
    new.replace(target / MANIFEST)
    shutil.rmtree(old, ignore_errors=True)
    return target / name


def verify(run: Path) -> tuple[str, ...]:
    """What is wrong with a run's folder, a line each; empty when it is complete and intact.

    + run: such as ``results/20260513T101500Z``
    """
    try:
        expected = parse_manifest((run / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        return (f"{MANIFEST}: {error.strerror}",)
    except (ManifestError, UnicodeDecodeError) as error:
        return (str(error),)
    found = digests_below(run)
    found.pop(MANIFEST, None)
    problems = differences(expected, found)
    partial = tuple(
        f"{path.parent.name} is incomplete: {line}"
        for path in sorted(run.glob(f"*/{PARTIAL}"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return (*problems, *partial)


def is_complete(results: Path, run: str, host: str, manifest_sha256: str | None) -> bool:
    """Whether a host's results of a run are here, whole and intact.

    + results: folder of all runs
    + run: id of the run
    + host: name of the host
    + manifest_sha256: digest of the manifest on the host, so that the results of an earlier
      attempt are not taken for those of a resumed one
    """
    name = folder_name(host)
    folder = results / run / name
    if not (folder / MANIFEST).is_file() or (folder / PARTIAL).exists():
        return False
    if _sha256(folder / MANIFEST) != manifest_sha256:
        return False
    expected = {
        path: digest
        for path, digest in _run_manifest(results / run).items()
        if path.startswith(f"{name}/")
    }
    found = {f"{name}/{path}": digest for path, digest in digests_below(folder).items()}
    return bool(expected) and not differences(expected, found)


def folder_name(host: str) -> str:
    """Folder of a host's results; a host's name may hold what no folder should."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".") or "_"


def digests_below(folder: Path) -> dict[str, str]:
    """SHA-256 by relative path of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def _refusal(member: tarfile.TarInfo, seen: Mapping[str, str]) -> str | None:
    try:
        check_path(member.name)
    except ManifestError as error:
        return f"the archive holds an {error}"
    if not member.isreg():
        return f"{member.name}: not a plain file"
    if member.name in seen:
        return f"{member.name}: in the archive twice"
    return None


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


def _run_manifest(run: Path) -> dict[str, str]:
    try:
        return parse_manifest((run / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ManifestError, UnicodeDecodeError):
        return {}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
