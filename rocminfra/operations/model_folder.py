"""A model's folder on the operator's machine, copied to the host and verified there."""

from __future__ import annotations

import hashlib
import posixpath
from io import StringIO
from pathlib import Path

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.model_folder import MANIFEST, CopiedFile, Folder, ModelFolder
from rocminfra.failure import Argument, Do, FailedError, Failure, Fault
from rocminfra.model_files import files_to_serve, folder_problem
from rocminfra.operations import transfers
from rocminfra.operations.commands import Commands
from rocminfra.operations.foreseen import foresee
from rocminfra.operations.host_failures import exclude, fail
from rocminfra.planning.foreseen import Foreseen
from rocminfra.plural import plural

# Files up to this size are hashed at every run; a larger one (a shard of the weights) only when
# its size or modification time differs from when it was copied.
ALWAYS_HASH_BYTES = 16 * 1024 * 1024
_NEW = ".rocminfra-new"


def gate(source: str, needs_weights: bool = True) -> None:
    """Take the host out of the run, before any change, when there is no whole model to copy.

    + source: folder on the operator's machine
    + needs_weights: whether a folder without any weights is refused

    For a task's top level.
    """
    problem = _problem(source, needs_weights)
    if problem is not None:
        exclude(state, host, problem)


@operation()
def copied(source: str, destination: str, needs_weights: bool = True) -> Commands:
    """Ensure that a model's folder is on the host, byte for byte.

    + source: folder on the operator's machine; must hold ``config.json``
    + destination: folder on the host
    + needs_weights: as for :func:`gate`; an engine with ``--load-format dummy`` needs none

    Every file is verified on the host by SHA-256 before it gets its name; the manifest is written
    last, so that a copy that was cut off goes on where it ended. A checkout's own folders
    (``.git``, ``.cache``) and weights in a second format (``original/``, ``consolidated*``) stay
    behind. A folder that is not whole is refused.
    """
    problem = _problem(source, needs_weights)
    if problem is not None:
        yield fail(problem)
        return
    folder = Path(source)
    there = host.get_fact(ModelFolder, path=destination)
    wanted = _local_files(folder, there)
    changes = [file for file in wanted if not _is_there(file, there)]
    # Only what the listing shows, which follows no link out of the folder.
    copied_before = {file.path for file in there.copied} & dict(there.sizes).keys()
    gone = copied_before - {file.path for file in wanted}
    foreign = _foreign(wanted, there)
    if foreign:
        yield fail(
            Failure(
                Fault.MODEL_FOLDER_FOREIGN,
                f"{destination} holds files that were not copied there from {source}",
                tuple(foreign[:5]),
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
    size = sum(file.size for file in changes)
    words = f"copies {plural(len(changes), 'file')}, {size / 1e9:.1f} GB, from {source}"
    foresee(host, Foreseen(words, download_bytes=size))
    for file in changes:
        target = posixpath.join(destination, file.path)
        yield from _upload(str(folder / file.path), target, file.sha256)
    for path in sorted(gone):
        yield StringCommand("rm -f", QuoteString(posixpath.join(destination, path)))
    text = "".join(f"{file.line()}\n" for file in wanted)
    digest = hashlib.sha256(text.encode()).hexdigest()
    yield from _upload(StringIO(text), posixpath.join(destination, MANIFEST), digest)


def _problem(source: str, needs_weights: bool) -> Failure | None:
    argument = Argument("model_folder", "source")
    if not (Path(source) / "config.json").is_file():
        return Failure(
            Fault.MODEL_FOLDER_INVALID,
            f"{source} is not a model's folder: it holds no config.json",
            next=Do(f"ls {source}; then set ", argument),
        )
    problem = folder_problem(Path(source), needs_weights)
    if problem is None:
        return None
    return Failure(
        Fault.MODEL_FOLDER_INCOMPLETE,
        f"{source} is not whole, and an engine would not start with it",
        (problem,),
        Do("fetch its files again, or set ", argument),
    )


def _local_files(folder: Path, there: Folder) -> list[CopiedFile]:
    known = {file.path: file for file in there.copied}
    files = []
    for path in files_to_serve(folder):
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


def _foreign(wanted: list[CopiedFile], there: Folder) -> list[str]:
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
