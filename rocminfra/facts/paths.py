"""Files and folders on the host, many in one question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact

_BORDER = "--- sha256 ---"


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


class PathStates(HostFact[dict[str, PathState]]):
    """State of each path that exists; a path that is missing here does not exist on the host."""

    @staticmethod
    def default() -> dict[str, PathState]:
        return {}

    def command(self, paths: Sequence[str]) -> StringCommand:
        # Two programs for all paths, not two for each: starting them is most of the time.
        return StringCommand(
            "set --; for path in",
            *(QuoteString(path) for path in paths),
            '; do if test -e "$path" || test -L "$path"; then set -- "$@" "$path"; fi; done;',
            # In another language a folder is none.
            'test $# = 0 || { LC_ALL=C stat -c "%F|%a|%U|%G|%n" -- "$@"; count=$#;',
            "while test $count -gt 0; do path=$1; shift;",
            'if test -f "$path" && ! test -L "$path"; then set -- "$@" "$path"; fi;',
            f'count=$((count - 1)); done; echo {_BORDER}; test $# = 0 || sha256sum -- "$@"; }}',
        )

    def process(self, output: list[str]) -> dict[str, PathState]:
        if not output:
            return {}
        border = output.index(_BORDER)
        digests = dict(_digest(line) for line in output[border + 1 :])
        states = {}
        for line in output[:border]:
            kind, mode, user, group, path = line.split("|", 4)
            # An empty file is "regular empty file" to stat.
            kind = "regular file" if kind == "regular empty file" else kind
            states[path] = PathState(kind, int(mode, 8), user, group, digests.get(path, ""))
        return states


def _digest(line: str) -> tuple[str, str]:
    """Path and digest of one of sha256sum's lines, which escapes backslashes of a path."""
    escaped = line.startswith("\\")
    digest, path = line.lstrip("\\").split("  ", 1)
    return (path.replace("\\\\", "\\") if escaped else path), digest
