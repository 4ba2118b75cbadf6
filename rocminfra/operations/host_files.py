"""Files and folders with exactly the contents, mode and owner that they should have.

pyinfra's ``files.put`` asks two or three questions a file, and sends each in a transfer of its own;
these ask one for all of them and send all that differ in one. Every file appears by a rename, so
that nothing ever reads half of one.
"""

from __future__ import annotations

import base64
import hashlib
import io
import posixpath
import shlex
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra import host, logger, state
from pyinfra.api import QuoteString, StringCommand, operation
from pyinfra.operations.util.files import generate_color_diff

from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.failure import Do, Failure, Fault
from rocminfra.operations import foreseen
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import fail
from rocminfra.planning.foreseen import Foreseen, difference
from rocminfra.plural import plural

# More new files than this are counted in a plan, not named.
MOST_NAMED = 4
# Another run's files, which are written in a moment once they have arrived.
LOCK_WAIT_S = 60


@dataclass(frozen=True)
class HostFile:
    """A file that should exist.

    + path: absolute path on the host
    + content: its whole text
    + mode: permission bits
    + user, group: owners
    """

    path: str
    content: str
    mode: int = 0o644
    user: str = "root"
    group: str = "root"

    @property
    def is_private(self) -> bool:
        """Whether only its owner may read it; such a file's contents are never shown."""
        return self.mode & 0o077 == 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the contents as they land on the host."""
        return hashlib.sha256(self.content.encode()).hexdigest()


@operation()
def present(files: Sequence[HostFile]) -> Commands:
    """Ensure that files exist with these contents, modes and owners.

    + files: the files; parent folders are made with mode 0755

    A path that holds something other than a regular file is refused. ``--diff`` shows changes,
    but for files that only their owner may read.
    """
    states = host.get_fact(PathStates, paths=[file.path for file in files])
    for file in files:
        found = states.get(file.path)
        if found is not None and found.kind != "regular file":
            yield fail(
                Failure(
                    Fault.PATH_TAKEN,
                    f"{file.path} should be a file and is a {found.kind}",
                    next=Do(f"look at it, then remove it: ls -ld {file.path}"),
                )
            )
            return
    changed = [file for file in files if not _right(file, states.get(file.path))]
    if not changed:
        host.noop(f"{len(files)} files are as they should be")
        return
    new = [file for file in changed if file.path not in states]
    if len(new) > MOST_NAMED and foreseen.is_wanted(host):
        foreseen.foresee(host, _all_new(new))
    for file in changed:
        is_told = len(new) > MOST_NAMED and file in new
        _show_difference(file, states.get(file.path), is_told)
    yield _write(changed)


@operation()
def directories(
    paths: Sequence[str], user: str = "root", group: str = "root", mode: int = 0o755
) -> Commands:
    """Ensure that folders exist with this owner and mode.

    + paths: absolute paths, parents before children
    + user, group: owners
    + mode: permission bits
    """
    states = host.get_fact(PathStates, paths=list(paths))
    for path in paths:
        found = states.get(path)
        if found is not None and found.kind != "directory":
            yield fail(
                Failure(
                    Fault.PATH_TAKEN,
                    f"{path} should be a folder and is a {found.kind}",
                    next=Do(f"look at it, then move it away: ls -ld {path}"),
                )
            )
            return
        if found is not None and (found.mode, found.user, found.group) == (mode, user, group):
            continue
        yield StringCommand(
            f"install -d -m {mode:04o}",
            *("-o", QuoteString(user), "-g", QuoteString(group), QuoteString(path)),
        )


def _right(file: HostFile, found: PathState | None) -> bool:
    return found is not None and (found.sha256, found.mode, found.user, found.group) == (
        file.sha256,
        file.mode,
        file.user,
        file.group,
    )


def _write(files: Sequence[HostFile]) -> StringCommand:
    """One command that writes all of them; their contents go to it on standard input.

    That is an archive, unpacked where only its owner may look: in /run, so that a private file is
    on no disk but in its place. All of it has arrived before the first file gets its name.
    """
    folders = sorted({posixpath.dirname(file.path) for file in files})
    steps = [
        "new=$(mktemp -d -p /run 2>/dev/null || mktemp -d)",
        "trap 'rm -rf \"$new\"' EXIT",
        # A shell that a signal ends forgets the line above.
        "trap 'exit 129' HUP INT TERM",
        'base64 -d | tar -xf - -C "$new"',
        f"test -e {_unpacked(files[-1])}",
        # Folders are for everyone to read, whatever root's own umask is.
        f"( umask 022 && mkdir -p {shlex.join(folders)} )",
        # Two runs at once must not take each other's unfinished files; the lock ends with us.
        f"exec 9<{shlex.quote(folders[0])} && flock -w {LOCK_WAIT_S} 9",
    ]
    named = []
    for file in files:
        owner = f"-o {shlex.quote(file.user)} -g {shlex.quote(file.group)}"
        target, new = shlex.quote(file.path), shlex.quote(f"{file.path}.rocminfra-new")
        steps.append(f"install -m {file.mode:04o} {owner} -T {_unpacked(file)} {new}")
        named.append(f"mv -fT {new} {target}")
    return StringCommand(" && ".join((*steps, *named)), _stdin=_archive(files))


def _unpacked(file: HostFile) -> str:
    return f'"$new"/{shlex.quote(file.path.lstrip("/"))}'


def _archive(files: Sequence[HostFile]) -> str:
    """A tar archive of the files, as text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for file in files:
            content = file.content.encode()
            member = tarfile.TarInfo(file.path.lstrip("/"))
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return base64.encodebytes(buffer.getvalue()).decode("ascii")


def _foreseen(file: HostFile, found: PathState | None) -> Foreseen:
    # Of a new or a private file the text is not shown, and yet another one is another plan.
    digest = f"{None if found is None else found.sha256} {file.sha256}"
    if found is None:
        return Foreseen(f"creates {file.path}", digest=digest)
    if found.sha256 == file.sha256:
        return Foreseen(f"owner or mode of {file.path}")
    if file.is_private:
        words = f"changes {file.path}, which only its owner may read"
        return Foreseen(words, digest=digest)
    current = host.get_fact(FileContents, path=file.path) or []
    diff = difference([*current], file.content.splitlines())
    return Foreseen(f"changes {file.path}", diff, digest=digest)


def _all_new(files: Sequence[HostFile]) -> Foreseen:
    folder = posixpath.commonpath([posixpath.dirname(file.path) for file in files])
    digest = hashlib.sha256("".join(f"{file.path} {file.sha256}\n" for file in files).encode())
    return Foreseen(f"creates {plural(len(files), 'file')} in {folder}", digest=digest.hexdigest())


def _show_difference(file: HostFile, found: PathState | None, is_told: bool) -> None:
    """Show how a file changes, with ``--diff``, and foresee it.

    + is_told: whether a plan speaks of it already
    """
    if foreseen.is_wanted(host) and not is_told:
        foreseen.foresee(host, _foreseen(file, found))
    if (
        not state.config.DIFF
        or file.is_private
        or (found is not None and found.sha256 == file.sha256)
    ):
        return
    current = host.get_fact(FileContents, path=file.path) if found is not None else []
    host.log(f"Will {'modify' if found else 'create'} {file.path}", logger.info)
    for line in generate_color_diff(
        [f"{line}\n" for line in current or []], file.content.splitlines(keepends=True)
    ):
        logger.info("  %s", line)
