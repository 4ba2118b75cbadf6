"""The published schemas of reports, from the types that they describe.

python tests/report_schemas.py    # write them
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import rocminfra.runner
from rocminfra.report.comparison.baseline import Check
from rocminfra.report.comparison.compare import Comparison
from rocminfra.report.history import RunLine
from rocminfra.report.summary import Report

SCHEMAS = Path(rocminfra.runner.__file__).parent / "schemas"
# What summary.json leaves to the pictures.
_LEFT_OUT = {"PointReport": ("timeline", "requests")}
_KEPT = {
    *("type", "properties", "items", "enum", "const", "anyOf", "additionalProperties"),
    *("$ref", "$defs", "required", "description"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by file name."""
    report = _of(Report)
    summary = {"title": "summary.json of a report", **report}
    return {
        "summary": {"$schema": _DRAFT, **summary},
        "report": _envelope(
            "report",
            "rocminfra report RUN --json",
            "Exit code: 0 done, 3 options or folder cannot be used, 8 the results are invalid.",
            {
                "folder": {"type": "string"},
                "files": {"type": "array", "items": {"type": "string"}},
                "report": {"$ref": "#/$defs/Report"},
            },
            report,
        ),
        "report-compare": _envelope(
            "report compare",
            "rocminfra report compare --json",
            "Exit code: 0 compared, 3 not comparable, or options or folders cannot be used.",
            {"comparisons": {"type": "array", "items": {"$ref": "#/$defs/Comparison"}}},
            _with_verdict(_of(Comparison)),
        ),
        "report-gate": _envelope(
            "report gate",
            "rocminfra report gate --json",
            "Exit code: 0 passed or written, 3 the baseline cannot be used, 8 worse or invalid.",
            {
                "outcome": {"enum": ["passed", "failed", "written"]},
                "run": {"type": "string"},
                "baseline": {"type": "string"},
                "checks": {"type": "array", "items": {"$ref": "#/$defs/Check"}},
            },
            _of(Check),
        ),
        "report-index": _envelope(
            "report index",
            "rocminfra report index --json",
            "Exit code: 0 done, 3 the folder cannot be used.",
            {
                "folder": {"type": "string"},
                "page": {"type": "string"},
                "runs": {"type": "array", "items": {"$ref": "#/$defs/RunLine"}},
                "unreadable": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"folder": {"type": "string"}, "why": {"type": "string"}},
                        "required": ["folder", "why"],
                        "additionalProperties": False,
                    },
                },
            },
            _of(RunLine),
        ),
    }


_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FAILURE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["code", "kind", "fault", "what", "why", "next_command"],
    "properties": {
        "code": {"type": "integer"},
        "kind": {"type": "string"},
        "fault": {"type": "string"},
        "what": {"type": "string"},
        "why": {"type": "array", "items": {"type": "string"}},
        "next_command": {"type": ["string", "null"]},
    },
}


def _envelope(
    verb: str, title: str, codes: str, own: dict[str, Any], inner: dict[str, Any]
) -> dict[str, Any]:
    """A document of a verb; what a failure leaves out is not required."""
    return {
        "$schema": _DRAFT,
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "required": ["schema", "rocminfra", "verb", "code", "error"],
        "properties": {
            "schema": {"const": 1},
            "rocminfra": {"type": "string"},
            "verb": {"const": verb},
            "code": {"type": "integer", "description": codes},
            **own,
            "error": {"anyOf": [_FAILURE, {"type": "null"}]},
        },
        "$defs": inner["$defs"],
    }


def _of(kind: type) -> dict[str, Any]:
    found = TypeAdapter(kind).json_schema(mode="serialization")
    definitions = found.pop("$defs", {})
    definitions[kind.__name__] = found
    cleaned = {name: _clean(one, name) for name, one in sorted(definitions.items())}
    return {"$ref": f"#/$defs/{kind.__name__}", "$defs": cleaned}


def _clean(schema: Any, name: str | None = None) -> Any:
    if isinstance(schema, list):
        return [_clean(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "prefixItems" in schema:
        return {"type": "array", "items": {"anyOf": _clean(schema["prefixItems"])}}
    found = {key: value for key, value in schema.items() if key in _KEPT and key != "properties"}
    found = {key: _clean(value) for key, value in found.items()}
    if "properties" in schema:
        left_out = _LEFT_OUT.get(name or "", ())
        properties = {
            key: _clean(value) for key, value in schema["properties"].items() if key not in left_out
        }
        found |= {
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return found


def _with_verdict(schema: dict[str, Any]) -> dict[str, Any]:
    comparison = schema["$defs"]["Comparison"]
    comparison["properties"]["verdict"] = {"type": "string"}
    comparison["required"].append("verdict")
    return schema


def text(schema: dict[str, Any]) -> str:
    """Contents of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, schema in schemas().items():
        (SCHEMAS / f"{file}.json").write_text(text(schema), encoding="utf-8")
