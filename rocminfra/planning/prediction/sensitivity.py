"""Sensitivity of each published figure to each constant. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rocminfra.planning.prediction.api_server import ApiServer
from rocminfra.planning.prediction.predict import Variant
from rocminfra.planning.prediction.published import compare, predict_reference

CHANGE = 0.1


@dataclass(frozen=True)
class Effect:
    """The effect of one constant on one figure.

    + constant: the changed constant
    + figure: name of the figure
    + lower, higher: relative change of the prediction with the constant 10 % lower or higher
    """

    constant: str
    figure: str
    lower: float
    higher: float


def effects(variant: Variant, reference: Mapping[str, Any]) -> tuple[Effect, ...]:
    """Vary every constant by 10 % down and up, one at a time."""
    base = _figures(variant, reference)
    found: list[Effect] = []
    for constant, lower, higher in _changed(variant):
        low, high = _figures(lower, reference), _figures(higher, reference)
        found.extend(
            Effect(constant, name, _relative(low[name], value), _relative(high[name], value))
            for name, value in base.items()
        )
    return tuple(found)


def _changed(variant: Variant) -> Iterator[tuple[str, Variant, Variant]]:
    for name in (
        "bandwidth_fraction",
        "compute_fraction",
        "attention_fraction",
        "vision_fraction",
        "step_overhead_s",
        "layer_overhead_s",
        "batch_layer_s",
        "sequence_overhead_s",
    ):
        value = {**vars(variant.constants)}[name]
        yield (
            name,
            replace(
                variant, given_constants=replace(variant.constants, **{name: value * (1 - CHANGE)})
            ),
            replace(
                variant, given_constants=replace(variant.constants, **{name: value * (1 + CHANGE)})
            ),
        )
    host = variant.server.preprocess_s_per_megapixel
    yield (
        "preprocess_s_per_megapixel",
        replace(variant, server=_host(variant, host * (1 - CHANGE))),
        replace(variant, server=_host(variant, host * (1 + CHANGE))),
    )


def _host(variant: Variant, preprocess_s: float) -> ApiServer:
    return replace(variant.server, preprocess_s_per_megapixel=preprocess_s)


def _figures(variant: Variant, reference: Mapping[str, Any]) -> dict[str, float]:
    return {
        row.name: row.predicted for row in compare(predict_reference(variant, reference), reference)
    }


def _relative(value: float, base: float) -> float:
    return 0.0 if base == 0 else value / base - 1.0
