"""YAML that remembers the line of every key, and refuses what YAML would silently swallow.

PyYAML keeps the last of two equal keys and throws line numbers away; a message that names file
and line needs both. Values are read by :mod:`.typed_text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from rocminfra.settings.problems import Problem, SettingsError
from rocminfra.settings.typed_text import is_plain, read_typed
from rocminfra.settings.wanted import Wanted

KeyPath = tuple[str, ...]

_STR = "tag:yaml.org,2002:str"
_BARE_TAG = re.compile(r"(&\S+\s+)?!(\s|$)")
# Far more than settings are; anchors can make a short file mean billions of values.
_MOST_VALUES = 100_000
_MOST_DEEP = 50


@dataclass(frozen=True)
class Located:
    """What a YAML file says, and where.

    + name: file name as the user gave it
    + data: the top-level mapping
    + lines: line (from 1) of every key, by its path from the top
    """

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def where(self, *path: str) -> str:
        """``file:line`` of the key at ``path``, or of the nearest key above it."""
        for length in range(len(path), 0, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


def read_yaml(path: Path, wanted: Wanted | None = None) -> Located:
    """Read a YAML file whose top level is a mapping.

    + wanted: what its keys take; None when that is not known

    Raises :class:`SettingsError` when the file cannot be read, is not valid YAML, or has one key
    twice.
    """
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([Problem("", error.strerror or "cannot be read", where=name)]) from None
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text (byte {error.start})"
        raise SettingsError([Problem("", what, where=name)]) from None
    return parse_yaml(text, name, wanted)


def parse_yaml(text: str, name: str, wanted: Wanted | None = None) -> Located:
    """Parse YAML text whose top level is a mapping.

    + name: of the file, for messages
    + wanted: what its keys take; None when that is not known
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SettingsError([_syntax_problem(error, text, name)]) from None
    except yaml.YAMLError as error:
        raise SettingsError([Problem("", f"is not valid YAML: {error}", where=name)]) from None
    except RecursionError:
        raise SettingsError([Problem("", "is nested too deeply", where=name)]) from None
    if root is None:
        return Located(name, {})
    reader = _Reader(name)
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError([reader.problem(root, "", "must be keys with values, 'key: value'")])
    data = reader.mapping(root, (), wanted)
    if reader.problems:
        raise SettingsError(reader.problems)
    return Located(name, data, reader.lines)


def read_value(text: str, wanted: Wanted | None) -> Any:
    """A value that stands alone: of an environment variable, of ``--data``.

    It means what it would mean in a file, where comments and indentation surround it. Lists,
    keys with values and quotes are YAML's; any other text is the value as a whole.

    + wanted: what its key takes; None when that is not known

    Raises ValueError with the reason for a text that is not valid YAML.
    """
    text = text.strip()
    if is_plain(text, wanted):
        return read_typed(text, wanted)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except yaml.YAMLError as error:
        reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else str(error)
        raise ValueError(str(reason)) from None
    if root is None:
        return None
    reader = _Reader("")
    value = reader.value(root, (), wanted)
    if reader.problems:
        raise ValueError(reader.problems[0].what)
    return value


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem("", f"is not valid YAML: {error.problem}", where=name)
    line = mark.line + 1
    lines = text.splitlines()
    shown = lines[mark.line] if mark.line < len(lines) else ""
    what = error.problem or "syntax error"
    if "\\t" in what or shown[: mark.column + 1].lstrip(" ").startswith("\t"):
        what = "a tab cannot indent YAML; use spaces"
    else:
        what = f"is not valid YAML here: {what}"
    if shown.strip():
        what = f"{what} ('{shown.strip()}')"
    return Problem("", what, where=f"{name}:{line}")


class _Reader:
    """Turns nodes into plain data; collects lines and problems on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._resolver = yaml.SafeLoader("")
        self._open: list[yaml.Node] = []
        self._read = 0

    def problem(self, node: yaml.Node, key: str, what: str) -> Problem:
        return Problem(key, what, where=f"{self.name}:{node.start_mark.line + 1}")

    def mapping(
        self, node: yaml.MappingNode, path: KeyPath, wanted: Wanted | None
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if key in result:
                first = self.lines[here]
                what = f"is given twice; the first is in line {first}"
                self.problems.append(self.problem(key_node, ".".join(here), what))
                continue
            self.lines[here] = key_node.start_mark.line + 1
            below = None if wanted is None else wanted.at(key)
            result[key] = self.value(value_node, here, below)
        return result

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if node.tag == "tag:yaml.org,2002:merge":
            what = "'<<' is not supported; what all hosts share belongs under 'defaults:'"
            self.problems.append(self.problem(node, ".".join(path), what))
            return None
        if not isinstance(node, yaml.ScalarNode):
            self.problems.append(self.problem(node, ".".join(path), "a key must be one word"))
            return None
        # A key is text whatever YAML makes of it: a host may be called 1 or yes.
        return str(node.value)

    def value(self, node: yaml.Node, path: KeyPath, wanted: Wanted | None) -> Any:
        """What a node says; problems are collected."""
        self._read += 1
        if self._read > _MOST_VALUES or len(self._open) > _MOST_DEEP:
            if self._read == _MOST_VALUES + 1 or len(self._open) > _MOST_DEEP:
                self._read = _MOST_VALUES + 1
                self.problems.append(self.problem(node, ".".join(path[:2]), "holds too much"))
            return None
        if node in self._open:
            self.problems.append(self.problem(node, ".".join(path), "contains itself"))
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path, wanted)
            if isinstance(node, yaml.SequenceNode):
                below = None if wanted is None else wanted.items
                return [
                    self.value(item, (*path, str(index)), below)
                    for index, item in enumerate(_items(node))
                ]
            return self._scalar(cast(yaml.ScalarNode, node), path, wanted)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, wanted: Wanted | None) -> Any:
        text = str(node.value)
        if node.style is not None:  # in quotes, or a block: a text
            meant = _STR
        else:
            meant = self._resolver.resolve(  # type: ignore[no-untyped-call]
                yaml.ScalarNode, text, (True, False)
            )
        if node.tag == meant and not _has_bare_tag(node):
            return read_typed(text, wanted) if node.style is None else text
        if node.tag == _STR and node.tag != meant:
            return text
        tag = "!" if node.tag == meant else node.tag.replace("tag:yaml.org,2002:", "!!")
        what = f"cannot be read: tags ({tag}) are not supported; write the value alone"
        self.problems.append(self.problem(node, ".".join(path), what))
        return None


def _has_bare_tag(node: yaml.ScalarNode) -> bool:
    """Whether ``!`` alone stands before a value, which PyYAML drops without a word."""
    mark = node.start_mark
    if node.style is not None or mark.buffer is None:
        return False
    written = mark.buffer[mark.pointer : node.end_mark.pointer]
    return _BARE_TAG.match(written) is not None


def _items(node: yaml.SequenceNode) -> Iterator[yaml.Node]:
    yield from node.value
