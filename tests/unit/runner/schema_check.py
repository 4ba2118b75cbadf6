"""Hold a document against a published schema, as far as our schemas use JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rocminfra.runner

SCHEMAS = Path(rocminfra.runner.__file__).parent / "schemas"

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = {
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
}


def load(verb: str) -> dict[str, Any]:
    """The published schema of a verb."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{verb}.json").read_text(encoding="utf-8"))
    return schema


def violations(document: Any, verb: str) -> list[str]:
    """Where ``document`` differs from the verb's schema."""
    schema = load(verb)
    return _violations(document, schema, schema, "$")


def _violations(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    assert set(schema) <= _KNOWN, f"{at}: the check does not know {set(schema) - _KNOWN}"
    if "$ref" in schema:
        return _violations(value, root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root, at)
    if "anyOf" in schema:
        options = [_violations(value, option, root, at) for option in schema["anyOf"]]
        return [] if any(not option for option in options) else min(options, key=len)
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        types = tuple(kind for name in names for kind in _TYPES[name])
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            return [*found, f"{at}: {value!r} is no {names}"]
    if isinstance(value, dict):
        found += _object(value, schema, root, at)
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += _violations(item, schema.get("items", {}), root, f"{at}[{index}]")
    return found


def _object(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str
) -> list[str]:
    found = [f"{at}.{key} is missing" for key in schema.get("required", ()) if key not in value]
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for key, item in value.items():
        if key in known:
            found += _violations(item, known[key], root, f"{at}.{key}")
        elif others is False:
            found.append(f"{at}.{key} is not in the schema")
        elif isinstance(others, dict):
            found += _violations(item, others, root, f"{at}.{key}")
    return found
