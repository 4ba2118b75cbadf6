"""How sure a prediction is: the band that 80 % of comparable left-out figures fell into.

For every published run the constants were fitted once without its source, and its figures were then
predicted (``tests/performance/latency_fit.py``). A band is as wide as four of five of those errors
were, of the same kind of figure and the same kind of case; where too few are like it, of less
similar cases too. What was never checked widens it, and is named. Standard library only, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rocminfra.planning.engine.gpus import GPUS, Gpu
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction.left_out_errors import LEFT_OUT, LeftOut

LEVEL = 0.8
# So many errors of alike cases are enough to go by; fewer count beside those of less similar ones,
# and fewer than three say nothing.
_ENOUGH, _FEWEST = 10, 3
# Each thing that was never checked makes the band wider by this factor either way.
_UNCHECKED = 1.3
KINDS = ("ttft", "itl", "latency", "throughput")


@dataclass(frozen=True)
class Case:
    """What a prediction is for.

    + gpu: key of the GPU
    + count: GPUs of one engine
    + family: ``model_type``
    + has_experts, is_fp8: of the model
    """

    gpu: str
    count: int
    family: str
    has_experts: bool
    is_fp8: bool

    @property
    def is_amd(self) -> bool:
        """Whether it runs on AMD's GPUs."""
        return is_amd(self.gpu)


@dataclass(frozen=True)
class Band:
    """Factors on a prediction between which the measured figure lies in four of five cases."""

    low: float
    high: float

    def around(self, value: float) -> tuple[float, float]:
        """Least and most of a predicted value."""
        return value * self.low, value * self.high


@dataclass(frozen=True)
class Bands:
    """Bands of all kinds of figures of one case.

    + reasons: what was never checked, a clause each; empty when all of it was
    """

    ttft: Band
    itl: Band
    latency: Band
    throughput: Band
    reasons: tuple[str, ...]


def is_amd(gpu: str) -> bool:
    """Whether a key names one of AMD's GPUs."""
    return gpu.startswith("mi")


def case_of(spec: ModelSpec, gpu: Gpu, tensor_parallel: int) -> Case:
    """The case of a model on GPUs."""
    return Case(
        gpu.key,
        tensor_parallel,
        spec.model_type,
        spec.experts is not None,
        spec.dtype_bytes == 1,
    )


def bands_of(spec: ModelSpec, gpu: Gpu, tensor_parallel: int) -> Bands:
    """How sure a prediction for this case is."""
    case = case_of(spec, gpu, tensor_parallel)
    is_reference = spec.name == REFERENCE_NAME and gpu.key == "mi300x" and tensor_parallel == 1
    reasons = () if is_reference else _reasons(case)
    ttft, itl, latency, throughput = (_band(case, kind, len(reasons)) for kind in KINDS)
    # Published latencies are nearly all of one stream. One is made of the times between tokens, and
    # no surer than they are under a load.
    latency = max(latency, itl, key=lambda band: band.high)
    return Bands(ttft, itl, latency, throughput, reasons)


def _band(case: Case, kind: str, n_unchecked: int) -> Band:
    found = _comparable(case, kind)
    # What was never checked may be like the worst of what was. Runs of one source resemble each
    # other, so that the next less similar cases count where alike ones are enough.
    asked = found if n_unchecked else found[: _first_enough(found) + 2]
    factor = max(_width(errors) for errors in asked) * _UNCHECKED**n_unchecked
    return Band(1 / factor, factor)


def _width(errors: list[float]) -> float:
    """The factor that four of five errors do not exceed."""
    # The share is that of one more error than there are: the next one is not yet known.
    index = min(len(errors), math.ceil((len(errors) + 1) * LEVEL)) - 1
    return math.exp(sorted(abs(error) for error in errors)[index])


def _first_enough(found: list[list[float]]) -> int:
    return next((at for at, errors in enumerate(found) if len(errors) >= _ENOUGH), len(found) - 1)


def _comparable(case: Case, kind: str) -> list[list[float]]:
    """Left-out errors of ever less similar cases; groups that say nothing are left out."""
    alike = (
        lambda row: (
            (row.is_amd, row.has_experts, row.count > 1)
            == (case.is_amd, case.has_experts, case.count > 1)
        ),
        lambda row: (row.is_amd, row.has_experts) == (case.is_amd, case.has_experts),
        lambda row: row.is_amd == case.is_amd,
        lambda row: True,
    )
    of_kind = [row for row in LEFT_OUT if row.kind == kind]
    groups = [_errors(row for row in of_kind if test(row)) for test in alike]
    return [errors for errors in groups if len(errors) >= _FEWEST]


def _errors(rows: Iterable[LeftOut]) -> list[float]:
    return [error for row in rows for error in row.errors]


def _reasons(case: Case) -> tuple[str, ...]:
    found: list[str] = []
    name = GPUS[case.gpu].name if case.gpu in GPUS else case.gpu
    on_gpu = [row for row in LEFT_OUT if row.gpu == case.gpu]
    if not on_gpu:
        found.append(f"no published run on {name} was checked")
    same_vendor = [row for row in LEFT_OUT if row.is_amd == case.is_amd]
    if case.count not in {row.count for row in same_vendor}:
        vendor = "AMD" if case.is_amd else "NVIDIA"
        found.append(f"none with {case.count} of {vendor}'s GPUs")
    if case.family not in {row.family for row in LEFT_OUT}:
        found.append(f"none of the family {case.family}")
    if case.is_fp8 and not any(row.is_fp8 for row in same_vendor):
        found.append("none with 8-bit weights on such a GPU")
    return tuple(found)
