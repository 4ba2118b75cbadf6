"""Which commands of a batch are nothing but one of our own programs for the host.

Such a command starts Python, and most of its time is Python's start and its imports. A batch has a
Python running already, which can be forked instead (:mod:`.host_batch`). So that nothing changes
but the time, a command is recognised by its whole text, and only in two forms:

- ``sh -c 'python3 -I -c TEXT ARGUMENTS'`` with the text of a program in ``rocminfra/host/``,
- ``sh -c '! test -e FILE || python3 FILE ARGUMENTS'`` with a file of ours on the host,

each either alone or followed by ``|| …``, which a shell does not look at after a success. Only a
success counts; anything else starts the command as it stands.

The shell text of ``PathStates``, the most frequent question of all, is one that a program of ours
says the same to, without the programs that the text starts.
"""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from rocminfra.facts.paths import PathStates


@dataclass(frozen=True)
class HostProgram:
    """A program that a command is.

    + path: where it is on the host, or ``-c``
    + source: its text; empty when it is to be read there
    + arguments: what it is started with
    + turn: its place in a process that it shares with other programs, one after the other; None for
      one that takes its time and has a process of its own
    """

    path: str
    source: str
    arguments: list[str]
    turn: int | None


_INSTALLED = re.compile(
    r"! test -e (?P<file>/usr/local/lib/rocminfra/[a-z_]+\.py) \|\| python3 (?P=file) (?P<rest>.*)",
    re.DOTALL,
)
_SENT = "python3 -I -c "
# Those that facts ask with: they only read, so that one may be started again.
_ASKED_WITH = ("sent/disk_probe", "sent/docker_api", "sent/path_states", "installed/readiness")
# Those that answer at once. Docker comes second: it may be busy.
_AT_ONCE = ("path_states.py", "docker_api.py")
_PATHS = re.compile(r"set --; for path in (?P<paths>.*?) ; do if test ", re.DOTALL)
# What could run after a success, or hide that something does.
_MORE = frozenset(";&\n()`")


def host_program(script: str) -> HostProgram | None:
    """The program that the shell text ``script`` is, or None."""
    installed = _INSTALLED.fullmatch(script)
    if installed is not None:
        if installed["file"].rpartition("/")[2] not in _sources():
            return None
        arguments = _arguments(installed["rest"])
        return None if arguments is None else HostProgram(installed["file"], "", arguments, None)
    if not script.startswith(_SENT):
        return _path_states(script)
    for name, (source, quoted) in _sources().items():
        start = f"{_SENT}{quoted} "
        if script.startswith(start):
            arguments = _arguments(script[len(start) :])
            if arguments is None:
                return None
            return HostProgram("-c", source, arguments, _turn(name))
    return None


def _path_states(script: str) -> HostProgram | None:
    start = _PATHS.match(script)
    paths = None if start is None else _arguments(start["paths"])
    if paths is None or PathStates().command(paths).get_raw_value() != script:
        return None
    name = "path_states.py"
    return HostProgram("-c", _sources()[name][0], paths, _turn(name))


def _turn(name: str) -> int | None:
    return _AT_ONCE.index(name) if name in _AT_ONCE else None


def forks(programs: Mapping[int, HostProgram]) -> list[list[tuple[int, str, str, list[str]]]]:
    """The programs as a batch takes them, by numbers of commands: those of a list share a fork."""
    alone, shared = [], []
    for index, program in programs.items():
        taken = (index, program.path, program.source, program.arguments)
        if program.turn is None:
            alone.append([taken])
        else:
            shared.append((program.turn, taken))
    shared.sort(key=lambda item: item[0])
    return [[taken for _, taken in shared], *alone] if shared else alone


def imports_of(programs: Iterable[HostProgram]) -> list[str]:
    """Modules that the programs import at their top, each once."""
    found: dict[str, None] = {}
    for program in programs:
        source = program.source
        if not source:
            known = _sources().get(program.path.rpartition("/")[2])
            source = known[0] if known is not None else ""
        found.update(dict.fromkeys(_imports(source)))
    return list(found)


def _arguments(rest: str) -> list[str] | None:
    """Words up to the end or to ``||``; None when a shell might read them in another way."""
    try:
        words = shlex.split(rest)
    except ValueError:
        return None
    if "||" not in words:
        return words if shlex.join(words) == rest else None
    words = words[: words.index("||")]
    start = f"{shlex.join(words)} || "
    if not rest.startswith(start) or _MORE & set(rest[len(start) :]):
        return None
    return words


@functools.lru_cache(maxsize=1)
def _sources() -> dict[str, tuple[str, str]]:
    """Texts of the programs, as they are and quoted, by their files' names."""
    folder = files("rocminfra.host")
    names = [f"{name}.py" for name in _ASKED_WITH]
    texts = {
        name.rpartition("/")[2]: folder.joinpath(name).read_text(encoding="utf-8") for name in names
    }
    return {name: (text, shlex.quote(text)) for name, text in texts.items()}


@functools.lru_cache(maxsize=32)
def _imports(source: str) -> tuple[str, ...]:
    names: list[str] = []
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        return ()
    for statement in statements:
        if isinstance(statement, ast.Import):
            names += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
            names.append(statement.module or "")
    return tuple(name for name in names if name)
