"""Files of a run, fetched over one connection: which, by how many streams, and what came of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rocminfra.bench.remote import CommandFailedError, Readable
from rocminfra.bench.remote_run import RemoteRun
from rocminfra.bench.results import STAGED, sha256
from rocminfra.bench.unpacking import unpack

# Below this a second stream costs more than it brings: a connection, and a Python on the host.
_SHARE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """What one stream brought.

    + folder: where its files are
    + digests: SHA-256 by path of those that match the manifest
    + problems: what does not match, a line each
    + lost: why the connection broke, or None
    """

    folder: Path
    digests: Mapping[str, str]
    problems: tuple[str, ...]
    lost: Exception | None


def fetch(
    target: RemoteRun, sizes: Mapping[str, int], folder: Path, wrote: Callable[[int], None]
) -> Fetched:
    """Fetch files by one stream.

    + target: the run
    + sizes: bytes of each file, by its name
    + folder: to be made; takes them
    + wrote: told of bytes as they are written

    Raises OSError only for this machine's own disk. What came before a connection broke is kept.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    incoming = _Incoming()
    command = target.program(f"pack {shlex.quote(target.folder)}")
    problems: tuple[str, ...] = ()
    digests: Mapping[str, str] = {}
    try:
        stream = target.remote.stream(command, json.dumps(list(sizes)), sum(sizes.values()))
        incoming.source = stream.__enter__()
    except CommandFailedError as error:
        return Fetched(folder, digests, (f"on the host: {error}",), None)
    except (OSError, EOFError) as error:
        return Fetched(folder, digests, (), error)
    try:
        unpacked = unpack(incoming, folder, wanted=set(sizes), wrote=wrote)
        digests, problems = unpacked.digests, unpacked.problems
    finally:
        with suppress(OSError, EOFError):
            stream.__exit__(None, None, None)
    if isinstance(incoming.error, CommandFailedError):
        return Fetched(folder, digests, (f"on the host: {incoming.error}", *problems), None)
    return Fetched(folder, digests, problems, incoming.error)


def shared_out(sizes: Mapping[str, int], streams: int) -> list[list[str]]:
    """Files for each stream, so that all end at about the same time.

    + sizes: bytes by path
    + streams: at most so many
    """
    count = max(1, min(streams, len(sizes), sum(sizes.values()) // _SHARE_BYTES))
    shares: list[list[str]] = [[] for _ in range(count)]
    loads = [0] * count
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        least = loads.index(min(loads))
        shares[least].append(path)
        # A file costs something, however small it is.
        loads[least] += sizes[path] + 4096
    return [sorted(share) for share in shares]


def here_already(digests: Mapping[str, str], folder: Path, published: Path) -> dict[str, str]:
    """Files that need not be fetched, with their digests; all of them are in ``folder/files`` then.

    + digests: SHA-256 by path of all files of the run
    + folder: of the staging: ``files``, and ``part-…`` of an attempt that was killed
    + published: results of an earlier attempt at the run
    """
    found: dict[str, str] = {}
    parts = [path for path in folder.glob("part-*") if path.is_dir()]
    for path, digest in digests.items():
        staged = folder / STAGED / path
        for source in (staged, *(part / path for part in parts), published / path):
            if not source.is_file() or source.is_symlink() or sha256(source) != digest:
                continue
            if source != staged:
                staged.parent.mkdir(parents=True, exist_ok=True)
                staged.unlink(missing_ok=True)
                _put(source, staged, is_ours=source != published / path)
            found[path] = digest
            break
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    return found


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Remove every file below a folder that is not one of ``names``, and folders without any."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):  # not empty
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in names:
            path.unlink()


class _Incoming:
    """A stream whose trouble is kept, and ends it: what came before is used."""

    def __init__(self) -> None:
        self.source: Readable | None = None
        self.error: Exception | None = None

    def read(self, size: int, /) -> bytes:
        if self.source is None or self.error is not None:
            return b""
        try:
            return self.source.read(size)
        except (OSError, EOFError) as error:
            self.error = error
            return b""


def _put(source: Path, target: Path, is_ours: bool) -> None:
    if is_ours:
        os.replace(source, target)
        return
    # A copy: the published file stays what it is, whatever happens to this one.
    shutil.copyfile(source, target)
