"""Variants to predict, and the prediction for each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from rocminfra import reference_run
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.prediction.bands import Bands, bands_of
from rocminfra.planning.prediction.predict import PredictedPoint, Variant

# Published price of the reference run's node. There is no default for other GPUs.
REFERENCE_GPU, REFERENCE_USD_PER_HOUR = "mi300x", reference_run.USD_PER_HOUR


@dataclass(frozen=True)
class Choice:
    """Values of one variant, for text and JSON output."""

    gpu: str
    count: int
    replicas: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_pixels: int | None
    kv_cache_dtype: str


@dataclass(frozen=True)
class Outcome:
    """The prediction for one variant.

    + choice, variant: which
    + scenarios: points by scenario; empty when there is an error
    + bands: how sure they are
    + refused: scenarios that this model cannot be asked, and why
    + usd_per_hour: price of all its engines together, None when nobody said
    + error: why there is no prediction
    + is_unfit: whether the reason is that the model does not fit
    """

    choice: Choice
    variant: Variant
    scenarios: tuple[tuple[str, tuple[PredictedPoint, ...]], ...]
    usd_per_hour: float | None
    error: str | None = None
    is_unfit: bool = False
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def bands(self) -> Bands:
        """How sure the prediction is."""
        variant = self.variant
        return bands_of(variant.spec, variant.gpu, variant.tensor_parallel)


def choices(options: dict[str, Any]) -> list[Choice]:
    """Every combination of the given values."""
    return [
        Choice(*values)
        for values in itertools.product(
            options["gpu"],
            [options["count"]],
            options["replicas"],
            options["max_num_seqs"],
            options["max_num_batched_tokens"],
            options["max_pixels"],
            options["kv_cache_dtype"],
        )
    ]


def variant_of(choice: Choice, base: Variant) -> Variant:
    """``base`` with the values of a choice."""
    serving = replace(
        base.serving,
        max_num_seqs=choice.max_num_seqs,
        max_num_batched_tokens=choice.max_num_batched_tokens,
        max_pixels=choice.max_pixels,
        kv_dtype_bytes=1 if choice.kv_cache_dtype == "fp8" else 2,
    )
    return replace(
        base,
        gpu=GPUS[choice.gpu],
        serving=serving,
        tensor_parallel=choice.count,
        replicas=choice.replicas,
    )
