"""A model's folder on the operator's machine, copied to the host and verified there."""

from __future__ import annotations

import hashlib
import posixpath
from io import StringIO
from pathlib import Path

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.model_folder import MANIFEST, CopiedFile, Folder, ModelFolder
from rocminfra.failure import Argument, Do, ExitCode, FailedError, Failure
from rocminfra.operations import transfers
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import exclude, fail

# Files up to this size are hashed at every run; a larger one (a shard of the weights) only when
# its size or modification time differs from when it was copied.
ALWAYS_HASH_BYTES = 16 * 1024 * 1024
_NEW = ".rocminfra-new"


def gate(source: str) -> None:
    """Take the host out of the run, before any change, when there is no model to copy.

    + source: folder on the operator's machine

    For a task's top level.
    """
    if not _is_model(source):
        exclude(state, host, _no_model(source))


@operation()
def copied(source: str, destination: str) -> Commands:
    """Ensure that a model's folder is on the host, byte for byte.

    + source: folder on the operator's machine; must hold ``config.json``
    + destination: folder on the host

    Every file is verified on the host by SHA-256 before it gets its name; the manifest is written
    last, so that a copy that was cut off goes on where it ended.
    """
    if not _is_model(source):
        yield fail(_no_model(source))
        return
    folder = Path(source)
    there = host.get_fact(ModelFolder, path=destination)
    wanted = _local_files(folder, there)
    changes = [file for file in wanted if not _is_there(file, there)]
    # Only what the listing shows, which follows no link out of the folder.
    copied_before = {file.path for file in there.copied} & dict(there.sizes).keys()
    gone = copied_before - {file.path for file in wanted}
    strangers = _strangers(wanted, there)
    if strangers:
        yield fail(
            Failure(
                ExitCode.REFUSED,
                f"{destination} holds files that were not copied there from {source}",
                tuple(strangers[:5]),
                Do(
                    f"move {destination} away on the host, or give the source's folder another name"
                ),
            )
        )
        return
    if not changes and not gone and there.copied:
        host.noop(f"{destination} holds the model")
        return
    try:
        transfers.way(host)
    except FailedError as error:
        if not state.is_executing:
            exclude(state, host, error.failure)
        yield fail(error.failure)
        return
    for file in changes:
        target = posixpath.join(destination, file.path)
        yield from _upload(str(folder / file.path), target, file.sha256)
    for path in sorted(gone):
        yield StringCommand("rm -f", QuoteString(posixpath.join(destination, path)))
    text = "".join(f"{file.line()}\n" for file in wanted)
    digest = hashlib.sha256(text.encode()).hexdigest()
    yield from _upload(StringIO(text), posixpath.join(destination, MANIFEST), digest)


def _is_model(source: str) -> bool:
    return (Path(source) / "config.json").is_file()


def _no_model(source: str) -> Failure:
    return Failure(
        ExitCode.SETTINGS,
        f"{source} is not a model's folder: it holds no config.json",
        next=Do(f"ls {source}; then set ", Argument("model_folder", "source")),
    )


def _local_files(folder: Path, there: Folder) -> list[CopiedFile]:
    known = {file.path: file for file in there.copied}
    files = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == MANIFEST:
            continue
        status = path.stat()
        before = known.get(name)
        is_same = before is not None and (before.size, before.mtime_ns) == (
            status.st_size,
            status.st_mtime_ns,
        )
        if before is not None and is_same and status.st_size > ALWAYS_HASH_BYTES:
            files.append(before)
            continue
        digest = _sha256(path)
        # The time of the first copy stays, or a fresh checkout would look like a change.
        is_equal = before is not None and before.sha256 == digest
        mtime_ns = before.mtime_ns if before is not None and is_equal else status.st_mtime_ns
        files.append(CopiedFile(name, status.st_size, mtime_ns, digest))
    return files


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _strangers(wanted: list[CopiedFile], there: Folder) -> list[str]:
    """Files that a first copy would replace or stand beside; none when a copy was cut off."""
    if there.copied:
        return []
    sizes = {file.path: file.size for file in wanted}
    return [
        path for path, size in there.sizes if not path.endswith(_NEW) and sizes.get(path) != size
    ]


def _is_there(file: CopiedFile, there: Folder) -> bool:
    return file in there.copied and dict(there.sizes).get(file.path) == file.size


def _upload(source: str | StringIO, target: str, sha256: str) -> Commands:
    new = f"{target}{_NEW}"
    yield StringCommand("mkdir -p", QuoteString(posixpath.dirname(target)))
    yield transfers.upload(host, source, new, host.get_temp_filename(target))
    yield StringCommand(
        *("echo", QuoteString(f"{sha256}  {new}"), "| sha256sum --check --quiet"),
        *("&& chmod 0644", QuoteString(new), "&& mv -fT", QuoteString(new), QuoteString(target)),
    )
