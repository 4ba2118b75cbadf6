"""How the files of a benchmark are read and written.

The operator's machine and the host both do so only through this module. A file of another version
is refused by name; unknown keys are ignored. The types are in ``job_record.py``,
``outcome_records.py`` and ``progress.py``.

Standard library only: this module also runs on the host. Annotations are strings at run time, and
values are checked against them.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from rocminfra.planning.bench.points import Outcome, StageKind

VERSION = 1

_T = TypeVar("_T")


class RecordError(ValueError):
    """A file that does not have this version's format; the message names it."""


def as_json(record: Any) -> dict[str, Any]:
    """A record as plain JSON values."""
    return dataclasses.asdict(record)


def read(kind: type[_T], value: Any, name: str) -> _T:
    """A record from JSON values.

    + kind: a dataclass, such as :class:`~rocminfra.planning.bench.job_record.JobRecord`
    + value: the file's contents
    + name: the file's name, for messages

    Raises :class:`RecordError` for another version, a missing key or a value of the wrong type.
    """
    if isinstance(value, Mapping) and value.get("version", VERSION) != VERSION:
        raise RecordError(
            f"{name} has version {value['version']!r}; this rocminfra reads version {VERSION}"
        )
    found: _T = _record(kind, value, name)
    return found


def _record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise RecordError(f"{where} is not a JSON object")
    given = {}
    for item in dataclasses.fields(kind):
        if item.name in value:
            named = vars(sys.modules[kind.__module__])
            at = f"{where}: {item.name}"
            given[item.name] = _value(str(item.type), value[item.name], at, named)
        elif item.default is item.default_factory is dataclasses.MISSING:
            raise RecordError(f"{where} has no {item.name}")
    return kind(**given)


def _value(annotation: str, value: Any, where: str, named: Mapping[str, Any]) -> Any:
    """A value of the type that an annotation names in a module with these names."""
    if annotation.endswith(" | None"):
        return None if value is None else _value(annotation[:-7], value, where, named)
    if annotation.startswith("tuple["):
        if not isinstance(value, (list, tuple)):
            raise RecordError(f"{where} is not a list")
        return tuple(_value(annotation[6:-6], item, where, named) for item in value)
    if dataclasses.is_dataclass(named.get(annotation)):
        return _record(named[annotation], value, where)
    if annotation.startswith("Mapping["):
        annotation = "Mapping"
    if annotation in _PLAIN and not _PLAIN[annotation](value):
        raise RecordError(f"{where} is {value!r}, but must be of type {annotation}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "Mapping": lambda value: isinstance(value, Mapping),
    "StageKind": lambda value: value in get_args(StageKind),
    "Outcome": lambda value: value in get_args(Outcome),
}
