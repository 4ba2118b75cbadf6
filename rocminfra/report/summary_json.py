"""A report as ``summary.json``; its schema is ``rocminfra/runner/schemas/summary.json``."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import Report

# Thousands of values that only pictures need.
_PICTURES_ONLY = ("timeline", "requests")


def document(report: Report) -> dict[str, Any]:
    """The report as plain JSON values, without time lines and single requests."""
    found: dict[str, Any] = _plain(report)
    return found


def dump(report: Report) -> str:
    """Text of ``summary.json``."""
    return json.dumps(document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = _PICTURES_ONLY if isinstance(value, PointReport) else ()
        return {
            item.name: _plain(getattr(value, item.name))
            for item in dataclasses.fields(value)
            if item.name not in left_out
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no NaN; nothing that was measured is one.
        return None
    return value
