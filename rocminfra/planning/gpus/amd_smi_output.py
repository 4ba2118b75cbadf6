"""What ``amd-smi … --json`` prints, in the forms that its releases have.

A bare list (ROCm 6) or an object with ``gpu_data`` (ROCm 7); a warning about groups in front of it
on standard output (ROCm/amdsmi, pull request 114); the whole document twice (ROCm/rocm-systems,
pull request 3067); a figure as an object with value and unit, as a number, as a text with its unit,
or ``N/A``, for which some releases print a whole section.

Standard library only, Python 3.8: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# What a unit is of the one that is wanted. amd-smi's "MB" of memory is MiB.
MIB = {"MB": 1.0, "MiB": 1.0, "GB": 1024.0, "GiB": 1024.0, "KB": 1 / 1024, "KiB": 1 / 1024}
MIB["B"] = MIB["bytes"] = 1 / 1024**2
WATTS = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "kW": 1e3}
CELSIUS = {"C": 1.0, "\N{DEGREE SIGN}C": 1.0}
PERCENT = {"%": 1.0}
JOULES = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "kJ": 1e3}
_TEXT = re.compile(r"(-?[0-9]{1,30}(?:\.[0-9]{1,30})?) ?([^0-9\s]*)")
_START = re.compile(r"(?m)^[ \t]*(?=[\[{])")


def read(text: str) -> list[dict[str, Any]]:
    """The GPUs' rows.

    + text: what amd-smi printed

    Raises ValueError when no list of GPUs is in it; amd-smi exits 0 after "Invalid platform".
    """
    decoder = json.JSONDecoder()
    for start in _START.finditer(text):
        try:
            document, _ = decoder.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            continue
        found = rows(document)
        if found is not None:
            return found
    raise ValueError("amd-smi printed no list of GPUs")


def rows(document: object) -> list[dict[str, Any]] | None:
    """The rows of a parsed document; None when it is no list of GPUs."""
    listed = document.get("gpu_data") if isinstance(document, dict) else document
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        return None
    return listed


def figure(
    row: Mapping[str, Any], path: tuple[str, str], units: Mapping[str, float]
) -> float | None:
    """A figure in the unit that is wanted; None for ``N/A`` and for a unit that is none of them.

    + path: section and name
    + units: how much of the wanted one each unit is
    """
    section = row.get(path[0])
    value = section.get(path[1]) if isinstance(section, dict) else None
    unit = None
    if isinstance(value, dict):
        unit, value = value.get("unit"), value.get("value")
    if isinstance(value, str):
        match = _TEXT.fullmatch(value.strip())
        if match is None:
            return None
        value, unit = float(match[1]), match[2] or unit
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        return None
    factor = 1.0 if unit in (None, "") else units.get(str(unit))
    return None if factor is None else value * factor
