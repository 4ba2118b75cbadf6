"""Results on the operator's machine: staged, published by a rename, and verified.

::

    results/<run>/MANIFEST.sha256          covers everything below, checked by sha256sum -c
    results/<run>/<host>/<point>/…
    results/<run>/<host>/PARTIAL           exists only when something is missing, and says what
    results/<run>/report/                  what rocminfra report makes of them; in no manifest
    results/.earlier/<run>-<host>-<n>/     results that were superseded
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rocminfra.planning.bench.manifest import (
    MANIFEST,
    PARTIAL,
    REPORT,
    ManifestError,
    differences,
    format_manifest,
    parse_manifest,
)
from rocminfra.planning.bench.verified import Verified, file_state

INCOMING = ".incoming"
# What an attempt that was cut off leaves for the next.
STAGED = "files"
EARLIER = ".earlier"
_CHUNK = 1024 * 1024
_ATTEMPTS = 5


class Collecting(Exception):
    """Another process here collects the same results."""


@contextmanager
def staging(results: Path, run: str, host: str) -> Iterator[Path]:
    """A folder next to the results for files that are not published yet.

    + results: folder of all runs, created if missing
    + run: id of the run
    + host: name of the host

    What is in its ``files`` at the end is kept for the next attempt, everything else is removed.
    Raises :class:`Collecting` while another process stages the same.
    """
    folder = results / INCOMING / f"{run}-{folder_name(host)}"
    lock = _locked(folder)
    try:
        yield folder
    finally:
        kept = folder / STAGED
        if not (kept.is_dir() and any(kept.iterdir())):
            shutil.rmtree(folder, ignore_errors=True)
        lock.close()
        with suppress(OSError):  # in use by another process, or already removed
            (results / INCOMING).rmdir()


def _locked(folder: Path) -> IO[str]:
    for left in reversed(range(_ATTEMPTS)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("a")
            break
        except FileNotFoundError:
            # Another process has just removed the parent folder because it was empty.
            if not left:
                raise
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Collecting(f"another command here collects run {folder.name}") from None
    return lock


def publish(
    results: Path,
    run: str,
    host: str,
    staged: Path,
    missing: Sequence[str],
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Publish a host's verified results in the run's folder with one rename.

    + results: folder of all runs
    + run: id of the run
    + host: name of the host
    + staged: folder with only the host's verified files, on the same file system
    + missing: why the results are partial, one reason per line; empty when they are complete
    + digests: SHA-256 of files that were hashed as they were written; the others are hashed here

    Returns the published path. Results of an earlier attempt move to ``.earlier``, unless they are
    complete and the new ones are partial: then the new ones go to ``.earlier``.
    """
    if missing:
        (staged / PARTIAL).write_text("".join(f"{line}\n" for line in missing), encoding="utf-8")
    name = folder_name(host)
    target = results / run
    if missing and holds_complete(results, run, host):
        return _put_aside(results, run, name, staged)
    own = {f"{name}/{path}": digest for path, digest in digests_below(staged, digests).items()}
    if not target.exists():
        # Publish the whole run at once: a run's folder never lacks its manifest.
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
    if (target / name).exists():
        _put_aside(results, run, name, target / name)
    staged.rename(target / name)
    new.replace(target / MANIFEST)
    return target / name


def verify(run: Path) -> tuple[str, ...]:
    """Problems with a run's folder, one per line; empty when it is complete and intact.

    + run: such as ``results/20260513T101500Z``
    """
    try:
        expected = parse_manifest((run / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        return (f"{MANIFEST}: {error.strerror}",)
    except (ManifestError, UnicodeDecodeError) as error:
        return (str(error),)
    found = {
        path: digest
        for path, digest in digests_below(run).items()
        if path != MANIFEST and path.split("/")[0] != REPORT
    }
    problems = differences(expected, found)
    partial = tuple(
        f"{path.parent.name} is incomplete: {line}"
        for path in sorted(run.glob(f"*/{PARTIAL}"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return (*problems, *partial)


def complete(
    results: Path, run: str, host: str, manifest_sha256: str | None
) -> dict[str, str] | None:
    """SHA-256 by path of a host's results of a run; None unless they are complete and intact.

    + results: folder of all runs
    + run: id of the run
    + host: name of the host
    + manifest_sha256: digest of the manifest on the host, which distinguishes the results of a
      resumed run from those of an earlier attempt
    """
    name = folder_name(host)
    folder = results / run / name
    if not (folder / MANIFEST).is_file() or (folder / PARTIAL).exists():
        return None
    if sha256(folder / MANIFEST) != manifest_sha256:
        return None
    expected = {
        path: digest
        for path, digest in _run_manifest(results / run).items()
        if path.startswith(f"{name}/")
    }
    found = digests_below(folder)
    inside = {f"{name}/{path}": digest for path, digest in found.items()}
    return found if expected and not differences(expected, inside) else None


def verified(folder: Path, digests: Mapping[str, str]) -> dict[str, Verified]:
    """Files of a folder, for whoever would hash them once more.

    + folder: a host's results, published
    + digests: SHA-256 by path of files whose contents this process has just read or written
    """
    return {
        path: Verified(digest, file_state((folder / path).stat()))
        for path, digest in digests.items()
    }


def holds_complete(results: Path, run: str, host: str) -> bool:
    """Whether a host's results of a run are here and not marked as partial."""
    folder = results / run / folder_name(host)
    return folder.is_dir() and not (folder / PARTIAL).exists()


def folder_name(host: str) -> str:
    """Folder name for a host's results.

    Characters that a folder name should not contain are replaced; a digest of the host's name then
    keeps ``lab:1`` and ``lab_1`` apart.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".")
    if name == host and name not in ("", MANIFEST, REPORT):
        return name
    return f"{name or '_'}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


def digests_below(folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, by relative path.

    + known: of files that need not be read again
    """
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    ]
    return {name: (known or {}).get(name) or sha256(folder / name) for name in names}


def _put_aside(results: Path, run: str, name: str, folder: Path) -> Path:
    """Move a folder to the next free place in ``.earlier``."""
    earlier = results / EARLIER
    earlier.mkdir(exist_ok=True)
    number = 1
    while (earlier / f"{run}-{name}-{number}").exists():
        number += 1
    return folder.rename(earlier / f"{run}-{name}-{number}")


def _run_manifest(run: Path) -> dict[str, str]:
    try:
        return parse_manifest((run / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ManifestError, UnicodeDecodeError):
        return {}


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
