"""One reader for values that somebody typed: in a file, in the environment, after ``--data``.

YAML 1.1 alone reads ``022`` as 18, ``no`` as false, ``1:30`` as 90 and ``2026-01-31`` as a date.
Here the key says what is meant: where it takes a text, the letters typed are the text; a whole
number is decimal. What fits no kind that the key takes stays as it was typed, for the message that
refuses it.
"""

from __future__ import annotations

import re
from types import NoneType

import yaml

from rocminfra.settings.wanted import Wanted

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "yes", "on"))
_FALSE = frozenset(("false", "no", "off"))
# What Python's int() takes, which is how pyinfra reads --data; it refuses 4300 digits and more.
_WHOLE = re.compile(r"[-+]?(?=[0-9_]{1,999}$)[0-9]+(_[0-9]+)*")
_DECIMAL = re.compile(r"[-+]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")
# A line of YAML begins a list or a mapping with one of these; quotes are YAML's, too.
_STRUCTURED = ("[", "{", '"', "'")

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_RESOLVER = yaml.SafeLoader("")

Scalar = str | int | float | bool | None


def read_typed(text: str, wanted: Wanted | None) -> Scalar:
    """A single value that was typed without quotes.

    + wanted: what its key takes; None when that is not known
    """
    if text in _NULL:
        return None
    if wanted is None or not wanted.scalars - {NoneType}:
        return _as_typed(text) if wanted is not None else read_untyped(text)
    if bool in wanted.scalars and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if {int, float} & wanted.scalars and _WHOLE.fullmatch(text):
        return int(text)
    if float in wanted.scalars and _DECIMAL.fullmatch(text):
        return float(text)
    return text if str in wanted.scalars else _as_typed(text)


def read_untyped(text: str) -> Scalar:
    """A value of a key of which nothing is known: as YAML reads it, but numbers are decimal."""
    if text in _NULL:
        return None
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if _WHOLE.fullmatch(text):
        return int(text)
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag == _FLOAT and ":" not in text:
        node = yaml.ScalarNode(tag, text)
        return float(_RESOLVER.construct_yaml_float(node))
    return text


def is_null(text: str, wanted: Wanted) -> bool:
    """Whether a key that takes nothing at all would take this text for nothing."""
    return NoneType in wanted.scalars and text.strip() in _NULL


def is_plain(text: str, wanted: Wanted | None) -> bool:
    """Whether a whole text (a variable's, a ``--data`` item's) is one value without quotes."""
    return not text.startswith(_STRUCTURED) and not (
        wanted is not None and wanted.is_nested and not wanted.scalars
    )


def _as_typed(text: str) -> Scalar:
    """A value of the wrong kind: of its own kind, if that says the same as what was typed."""
    value = read_untyped(text)
    same = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else str(value)
    return value if same == text else text
