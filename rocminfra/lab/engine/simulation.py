"""The simulation's settings, from ``ROCMINFRA_SIM_*`` variables. Engine flags are elsewhere.

The names do not begin with ``VLLM_``, because vLLM checks those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

PREFIX = "ROCMINFRA_SIM_"


class FailureMode(Enum):
    """Failure modes; the value is the start of ``ROCMINFRA_SIM_FAIL``."""

    NONE = ""
    SLOW_LOAD = "slow-load"
    CRASH_AT_LOAD = "crash-at-load"
    CRASH_LOOP = "crash-loop"
    OOM_AT_LOAD = "oom-at-load"
    HUNG = "hung"
    ERRORS = "errors"
    DIES_MID_RUN = "dies-mid-run"


# Default argument per mode: seconds, share of requests, requests.
_DEFAULT_AMOUNTS = {
    FailureMode.SLOW_LOAD: 600.0,
    FailureMode.ERRORS: 0.5,
    FailureMode.DIES_MID_RUN: 10.0,
}


# Modes that decide about a single completion, and may begin with a later one.
_MAY_BEGIN_LATER = (FailureMode.HUNG, FailureMode.ERRORS)


class SimulationError(ValueError):
    """A simulator variable is not valid."""


@dataclass(frozen=True)
class Simulation:
    """The simulated system.

    + time_scale: how many times faster than the real GPU
    + failure: failure mode, if any
    + failure_amount: real seconds of ``slow-load``, share of requests that ``errors`` answers
      with 500, requests after which ``dies-mid-run`` dies
    + fail_after: completions that are served as usual before ``hung`` or ``errors`` begins
    + load_seconds: modelled seconds from start to ready
    + gpu: key of the modelled GPU in ``planning/engine/gpus.py``
    + kv_blocks: KV blocks, or None to compute them from flags, GPU and the reference model
    + output_tokens: median length of an answer whose request sets no limit
    + bandwidth_fraction, compute_fraction, attention_fraction, vision_fraction: see
      ``planning/engine/latency.py``; None is its default
    + step_overhead_ms: likewise
    """

    time_scale: float = 1.0
    failure: FailureMode = FailureMode.NONE
    failure_amount: float = 0.0
    fail_after: int = 0
    load_seconds: float = 60.0
    gpu: str = "mi300x"
    kv_blocks: int | None = None
    output_tokens: int = 19
    bandwidth_fraction: float | None = None
    compute_fraction: float | None = None
    attention_fraction: float | None = None
    vision_fraction: float | None = None
    step_overhead_ms: float | None = None


def simulation_from(environ: Mapping[str, str]) -> Simulation:
    """Read the simulator's variables.

    Raises :class:`SimulationError` for an unknown variable or an invalid value.
    """
    values: dict[str, str] = {
        name[len(PREFIX) :].lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX)
    }
    unknown = sorted(set(values) - set(_READERS) - {"fail"})
    if unknown:
        known = ", ".join(PREFIX + name.upper() for name in sorted([*_READERS, "fail"]))
        raise SimulationError(f"unknown variable {PREFIX}{unknown[0].upper()}; known: {known}")
    failure, amount = _failure(values.pop("fail", ""))
    fields: dict[str, Any] = {name: _READERS[name](name, value) for name, value in values.items()}
    if fields.get("fail_after") and failure not in _MAY_BEGIN_LATER:
        modes = " or ".join(mode.value for mode in _MAY_BEGIN_LATER)
        raise SimulationError(f"{PREFIX}FAIL_AFTER needs {PREFIX}FAIL={modes}")
    return Simulation(failure=failure, failure_amount=amount, **fields)


# Zero is a valid duration, but not a valid scale, share or count.
_MAY_BE_ZERO = {"load_seconds", "step_overhead_ms", "fail_after"}


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if 0 < number < float("inf") or (number == 0 and name in _MAY_BE_ZERO):
        return number
    raise SimulationError(f"{PREFIX}{name.upper()}={text!r} is not a positive number")


def _whole(name: str, text: str) -> int:
    number = _number(name, text)
    if number != int(number):
        raise SimulationError(f"{PREFIX}{name.upper()}={text!r} is not a whole number")
    return int(number)


def _text(_name: str, text: str) -> str:
    return text


_READERS: dict[str, Callable[[str, str], object]] = {
    "time_scale": _number,
    "load_seconds": _number,
    "gpu": _text,
    "fail_after": _whole,
    "kv_blocks": _whole,
    "output_tokens": _whole,
    "bandwidth_fraction": _number,
    "compute_fraction": _number,
    "attention_fraction": _number,
    "vision_fraction": _number,
    "step_overhead_ms": _number,
}


def _failure(text: str) -> tuple[FailureMode, float]:
    name, _, amount_text = text.partition(":")
    try:
        mode = FailureMode(name)
    except ValueError:
        known = ", ".join(mode.value for mode in FailureMode if mode.value)
        raise SimulationError(f"{PREFIX}FAIL={text!r}: known modes are {known}") from None
    if not amount_text:
        return mode, _DEFAULT_AMOUNTS.get(mode, 0.0)
    if mode not in _DEFAULT_AMOUNTS:
        raise SimulationError(f"{PREFIX}FAIL={text!r}: {name} takes no number")
    return mode, _number("fail", amount_text)
