"""Whether a figure from outside is possible at all: the one gate for all of them.

GuideLLM, the engine's ``/metrics`` and amd-smi have all printed figures that cannot be: a time to
first token of minus 55 years, a KV cache that is 139 % full, an activity of 65,535 %. Such a figure
is not corrected and not left out in silence: it makes its point invalid, with the reason.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

# Rounding of sums and means, in parts of the figure.
_ROUNDING = 1e-6
# A larger whole number does not fit a float.
_MOST = 1e300
# No GPU draws or bears more (MI355X: 1,400 W; throttling begins at about 110 °C). What amd-smi
# prints for "unknown" in some versions, 65,535 or a tenth or a hundredth of that, lies beyond.
_MOST_WATTS = 5_000.0
_MOST_CELSIUS = 200.0
# Hundred times what a GPU has; more than a GPU draws in a century.
_MOST_MIB = 1e8
_MOST_JOULES = 1e13
# Tokens that an engine has counted; beyond, a float no longer counts.
_MOST_COUNTED = 1e15
_MOST_NAMED = 4
# Of a value that is quoted.
_MOST_LETTERS = 40


def number_problem(value: object, most: float | None = None, least: float = 0.0) -> str | None:
    """Why a number is none that can be measured, such as ``-3, below 0``; None when it is one.

    + value: the number; None and text are nobody's figure and no problem here
    + most, least: bounds
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}, which is not a number"
    if abs(value) > _MOST:
        return "beyond all that is measured"
    if value < least:
        return f"{value:,}, below {least:g}"
    if most is not None and value > most + _ROUNDING * abs(most):
        return f"{value:,}, above {most:g}"
    return None


def figure_problem(value: object, most: float | None = None, least: float = 0.0) -> str | None:
    """The same for what must be a number: nothing (null, which is how JSON writers put NaN), a
    text, a truth value or a list is none.

    + value, most, least: see :func:`number_problem`
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_problem(value, most, least)
    shown = "null" if value is None else json.dumps(value, default=str)
    return f"{shown[:_MOST_LETTERS]}, which is not a number"


def engine_problem(name: str, value: str, is_share: bool) -> str | None:
    """Why a value of the engine's ``/metrics`` cannot be, or None.

    + name: the series
    + value: as it is written there
    + is_share: whether it is a part of a whole, 0 to 1, and no count
    """
    try:
        number = float(value)
    except ValueError:
        problem = figure_problem(value)
    else:
        problem = number_problem(number, 1.0 if is_share else _MOST_COUNTED)
        if problem is None and not is_share and number != int(number):
            problem = f"{number:,}, and half of something is not counted"
    return None if problem is None else f"impossible figure of the engine: {name} is {problem}"


def gpu_problems(sample: Mapping[str, Any]) -> tuple[str, ...]:
    """Which figures of one GPU cannot be, a reason each.

    + sample: figures by name, as ``rocminfra.host.bench.telemetry`` calls them; the name's end is
      the unit
    """
    reasons = []
    for name, value in sample.items():
        most = next((limit for unit, limit in _GPU_LIMITS.items() if name.endswith(unit)), None)
        problem = None if name == "gpu" else number_problem(value, most)
        if problem is not None:
            reasons.append(f"{name} is {problem}")
    if not reasons:
        known = numbers(sample)
        used, total = known.get("vram_used_mib", 0.0), known.get("vram_total_mib")
        if total is not None and used > total:
            reasons.append(f"vram_used_mib is {used:,} of {total:,}")
    which = sample.get("gpu")
    return tuple(f"impossible figure of GPU {which}: {reason}" for reason in reasons)


def counted(reasons: Iterable[str]) -> tuple[str, ...]:
    """Each kind of reason once, with how often it came, the first few.

    + reasons: of many samples; those of one figure differ by its value only
    """
    first: dict[str, str] = {}
    times: dict[str, int] = {}
    for reason in reasons:
        figure = reason.partition(" is ")[0]
        first.setdefault(figure, reason)
        times[figure] = times.get(figure, 0) + 1
    return few(
        [
            reason if times[figure] == 1 else f"{reason} (in {times[figure]} samples)"
            for figure, reason in first.items()
        ]
    )


_GPU_LIMITS = {
    "_percent": 100.0,
    "_w": _MOST_WATTS,
    "_c": _MOST_CELSIUS,
    "_mib": _MOST_MIB,
    "_j": _MOST_JOULES,
}


def numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures that are numbers."""
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _MOST
    }


def room(one: float, other: float) -> float:
    """By how much two figures may differ because of rounding."""
    return _ROUNDING * max(abs(one), abs(other), _ROUNDING)


def few(reasons: list[str]) -> tuple[str, ...]:
    """The first few reasons, and how many more there are."""
    more = len(reasons) - _MOST_NAMED
    if more <= 0:
        return tuple(reasons)
    return (*reasons[:_MOST_NAMED], f"and {more} more that cannot be")
