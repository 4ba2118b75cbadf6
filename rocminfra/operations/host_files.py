"""Files and folders with exactly the contents, mode and owner that they should have.

pyinfra's ``files.put`` asks two or three questions a file; these ask one for all of them, and
every file appears by a rename, so that nothing ever reads half of one.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from pyinfra import host, logger, state
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.facts.files import FileContents
from pyinfra.operations.util.files import generate_color_diff

from rocminfra.facts.paths import PathState, PathStates
from rocminfra.operations.commands import Commands
from rocminfra.operations.failure import Failure, FailureKind, fail


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
                    FailureKind.UNFIT,
                    f"{file.path} should be a file and is a {found.kind}",
                    next_command=f"look at it, then remove it: ls -ld {file.path}",
                )
            )
            return
    changed = [file for file in files if not _right(file, states.get(file.path))]
    if not changed:
        host.noop(f"{len(files)} files are as they should be")
        return
    for file in changed:
        yield from _write(file, states.get(file.path))


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
                    FailureKind.UNFIT,
                    f"{path} should be a folder and is a {found.kind}",
                    next_command=f"look at it, then move it away: ls -ld {path}",
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


def _write(file: HostFile, found: PathState | None) -> Commands:
    new = f"{file.path}.rocminfra-new"
    yield StringCommand("mkdir -p", QuoteString(posixpath.dirname(file.path)))
    if file.is_private:
        # An upload would be readable by everybody until its mode is set, in /tmp with sudo.
        yield StringCommand(
            *("rm -f", QuoteString(new), "&& umask 077 && cat >", QuoteString(new)),
            _stdin=file.content,
        )
    else:
        _show_difference(file, found)
        yield FileUploadCommand(
            StringIO(file.content), new, remote_temp_filename=host.get_temp_filename(file.path)
        )
    yield StringCommand(
        *("chown", QuoteString(f"{file.user}:{file.group}"), QuoteString(new)),
        *(f"&& chmod {file.mode:04o}", QuoteString(new)),
        *("&& mv -fT", QuoteString(new), QuoteString(file.path)),
    )


def _show_difference(file: HostFile, found: PathState | None) -> None:
    if not state.config.DIFF or (found is not None and found.sha256 == file.sha256):
        return
    current = host.get_fact(FileContents, path=file.path) if found is not None else []
    host.log(f"Will {'modify' if found else 'create'} {file.path}", logger.info)
    for line in generate_color_diff(
        [f"{line}\n" for line in current or []], file.content.splitlines(keepends=True)
    ):
        logger.info("  %s", line)
