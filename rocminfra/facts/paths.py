"""Files and folders on the host, many in one question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import FactBase, QuoteString, StringCommand


@dataclass(frozen=True)
class PathState:
    """What stands at a path.

    + kind: ``regular file``, ``directory``, ``symbolic link`` … as stat(1) says
    + mode: permission bits
    + user, group: names of the owners
    + sha256: of the contents of a regular file, else an empty text
    """

    kind: str
    mode: int
    user: str
    group: str
    sha256: str


class PathStates(FactBase[dict[str, PathState]]):
    """State of each path that exists; a path that is missing here does not exist on the host."""

    @staticmethod
    def default() -> dict[str, PathState]:
        return {}

    def command(self, paths: Sequence[str]) -> StringCommand:
        return StringCommand(
            "for path in",
            *(QuoteString(path) for path in paths),
            '; do if test -e "$path" || test -L "$path"; then',
            'stat -c "%F|%a|%U|%G" "$path"; if test -f "$path" && ! test -L "$path"; then',
            'sha256sum < "$path"; else echo -; fi; printf "%s\\n" "$path"; fi; done',
        )

    def process(self, output: list[str]) -> dict[str, PathState]:
        states = {}
        for status, digest, path in zip(output[::3], output[1::3], output[2::3], strict=True):
            kind, mode, user, group = status.split("|")
            # An empty file is "regular empty file" to stat.
            kind = "regular file" if kind == "regular empty file" else kind
            sha256 = digest.split()[0].strip("-")
            states[path] = PathState(kind, int(mode, 8), user, group, sha256)
        return states
