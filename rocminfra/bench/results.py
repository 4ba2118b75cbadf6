"""Results on the operator's machine: staged, published by a rename, and verified.

::

    results/<run>/MANIFEST.sha256          covers everything below, checked by sha256sum -c
    results/<run>/<host>/<point>/…
    results/<run>/<host>/PARTIAL           only when something is missing; says what
    results/.earlier/<run>-<host>-<n>/     what a later attempt replaced, or did not
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rocminfra.planning.bench.manifest import (
    MANIFEST,
    PARTIAL,
    ManifestError,
    differences,
    format_manifest,
    parse_manifest,
)

INCOMING = ".incoming"
EARLIER = ".earlier"
_CHUNK = 1024 * 1024
_ATTEMPTS = 5


@contextmanager
def staging(results: Path, run: str, host: str) -> Iterator[Path]:
    """A folder beside the results for what is not yet verified; gone afterwards.

    + results: folder of all runs, made when it is missing
    + run: id of the run
    + host: name of the host
    """
    folder = results / INCOMING / f"{run}-{folder_name(host)}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    for left in reversed(range(_ATTEMPTS)):
        try:
            folder.mkdir(parents=True)
            break
        except FileNotFoundError:
            # Another process took the folder above away in this moment, because it was empty.
            if not left:
                raise
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others stage there, or have taken it away already
            (results / INCOMING).rmdir()


def publish(results: Path, run: str, host: str, staged: Path, missing: Sequence[str]) -> Path:
    """Make a host's verified results appear in the run's folder, by one rename.

    + results: folder of all runs
    + run: id of the run
    + host: name of the host
    + staged: folder with nothing but the host's verified files, on the same file system
    + missing: why the results are partial, a line each; empty when they are complete

    Returns where they are. What stood there before, from an earlier attempt, is kept aside in
    ``.earlier``; but complete results stay, and partial ones go aside instead.
    """
    if missing:
        (staged / PARTIAL).write_text("".join(f"{line}\n" for line in missing), encoding="utf-8")
    name = folder_name(host)
    target = results / run
    if missing and holds_complete(results, run, host):
        return _put_aside(results, run, name, staged)
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
    if (target / name).exists():
        _put_aside(results, run, name, target / name)
    staged.rename(target / name)
    new.replace(target / MANIFEST)
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


def holds_complete(results: Path, run: str, host: str) -> bool:
    """Whether a host's results of a run are here and do not say that something is missing."""
    folder = results / run / folder_name(host)
    return folder.is_dir() and not (folder / PARTIAL).exists()


def folder_name(host: str) -> str:
    """Folder of a host's results.

    A host's name may hold what no folder should; where something is replaced, a digest of the
    name keeps ``lab:1`` and ``lab_1`` apart.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".")
    if name == host and name not in ("", MANIFEST):
        return name
    return f"{name or '_'}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


def digests_below(folder: Path) -> dict[str, str]:
    """SHA-256 by relative path of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
