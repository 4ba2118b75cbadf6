"""Which kind of value each key takes, read off the models, so that text can be read as meant."""

from __future__ import annotations

import functools
import types
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True)
class Wanted:
    """Kinds of value that a key takes.

    + scalars: types of single values, such as ``{int, NoneType}``
    + items: what a list holds, or None when the key takes no list
    + values: what each key of a mapping holds, whatever its name; None when it takes none
    + keys: what the named keys of a section hold
    """

    scalars: frozenset[type] = frozenset()
    items: Wanted | None = None
    values: Wanted | None = None
    keys: Mapping[str, Wanted] = field(default_factory=dict)

    def at(self, key: str) -> Wanted | None:
        """What the key below this one takes; None when it is not known."""
        return self.keys.get(key, self.values)

    @property
    def is_nested(self) -> bool:
        """Whether the key takes a list or keys with values."""
        return self.items is not None or self.values is not None or bool(self.keys)

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(
            self.scalars | other.scalars,
            _either(self.items, other.items),
            _either(self.values, other.values),
            {
                key: wanted
                for key in (*self.keys, *other.keys)
                if (wanted := _either(self.keys.get(key), other.keys.get(key))) is not None
            },
        )


def scalar(*kinds: type) -> Wanted:
    """A single value of one of these types."""
    return Wanted(frozenset(kinds))


@functools.cache
def wanted(annotation: Hashable) -> Wanted:
    """What a model, or a field's annotation, takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return wanted(arguments[0])
    if origin in (Union, types.UnionType):
        return functools.reduce(Wanted.__or__, map(wanted, arguments))
    if origin is Literal:
        return scalar(*map(type, arguments))
    if origin in (list, tuple):
        return Wanted(items=wanted(arguments[0]))
    if origin is dict:
        return Wanted(values=wanted(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return Wanted(keys={name: wanted(cast(Hashable, info.annotation)) for name, info in fields})
    return scalar(annotation) if isinstance(annotation, type) else Wanted()


def _either(one: Wanted | None, other: Wanted | None) -> Wanted | None:
    if one is None or other is None:
        return one if other is None else other
    return one | other
