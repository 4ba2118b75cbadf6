"""YAML that remembers the line of every key, and refuses what YAML would silently swallow.

PyYAML keeps the last of two equal keys and throws line numbers away; a message that names file
and line needs both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rocminfra.settings.problems import Problem, SettingsError

KeyPath = tuple[str, ...]


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


def read_yaml(path: Path) -> Located:
    """Read a YAML file whose top level is a mapping.

    Raises :class:`SettingsError` when the file cannot be read, is no YAML, or says one key twice.
    """
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([Problem("", error.strerror or "cannot be read", where=name)]) from None
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text (byte {error.start})"
        raise SettingsError([Problem("", what, where=name)]) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> Located:
    """Parse YAML text whose top level is a mapping; ``name`` is for messages."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SettingsError([_syntax_problem(error, text, name)]) from None
    except yaml.YAMLError as error:
        raise SettingsError([Problem("", f"is no YAML: {error}", where=name)]) from None
    if root is None:
        return Located(name, {})
    reader = _Reader(name)
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError([reader.problem(root, "", "must be keys with values, 'key: value'")])
    data = reader.mapping(root, ())
    if reader.problems:
        raise SettingsError(reader.problems)
    return Located(name, data, reader.lines)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem("", f"is no YAML: {error.problem}", where=name)
    line = mark.line + 1
    lines = text.splitlines()
    shown = lines[mark.line] if mark.line < len(lines) else ""
    what = error.problem or "syntax error"
    if "\\t" in what or shown[: mark.column + 1].lstrip(" ").startswith("\t"):
        what = "a tab cannot indent YAML; use spaces"
    else:
        what = f"is no YAML here: {what}"
    if shown.strip():
        what = f"{what} ('{shown.strip()}')"
    return Problem("", what, where=f"{name}:{line}")


class _Reader:
    """Turns nodes into plain data; collects lines and problems on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._constructor = yaml.SafeLoader("")
        self._open: list[yaml.Node] = []

    def problem(self, node: yaml.Node, key: str, what: str) -> Problem:
        return Problem(key, what, where=f"{self.name}:{node.start_mark.line + 1}")

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
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
            result[key] = self._value(value_node, here)
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

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        if node in self._open:
            self.problems.append(self.problem(node, ".".join(path), "contains itself"))
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [
                    self._value(item, (*path, str(index)))
                    for index, item in enumerate(_items(node))
                ]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else str(error)
            self.problems.append(self.problem(node, ".".join(path), f"cannot be read: {reason}"))
            return None


def _items(node: yaml.SequenceNode) -> Iterator[yaml.Node]:
    yield from node.value
