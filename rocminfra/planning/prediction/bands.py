"""How sure a prediction is: the band that 80 % of comparable left-out figures fell into.

For every published run the constants were fitted once without its source, and its figures were then
predicted (``tests/performance/latency_fit.py``). A band is as wide as four of five of those errors
were, of the same kind of figure and the same kind of case, of all of them or of the source with
many in which they were worst; where too few are like it, of less similar cases too. What was never
checked widens it, and is named. Standard library only, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from rocminfra.planning.engine.gpus import GPUS, Gpu
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction.left_out_errors import LEFT_OUT, LeftOut

LEVEL = 0.8
# So many errors of alike cases, of two sources, are enough to go by, and so many of one source are
# a case of their own; fewer count beside those of less similar cases, and fewer than three say
# nothing.
_ENOUGH, _SOURCES, _FEWEST = 10, 2, 3
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


@dataclass(frozen=True)
class Checked:
    """How far off predictions for published runs were that the constants had never seen.

    + figures: how many, each once
    + median_error: of them, relative
    + within_20: share of them within 20 %
    """

    figures: int
    median_error: float
    within_20: float


def checked() -> Checked:
    """All left-out errors in three numbers."""
    off = [abs(math.exp(error) - 1) for error in _errors(LEFT_OUT)]
    return Checked(len(off), median(off), sum(one <= 0.2 for one in off) / len(off))


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
    is_reference = is_reference_engine(spec, gpu, tensor_parallel)
    return bands_from(LEFT_OUT, case, is_reference=is_reference)


def is_reference_engine(spec: ModelSpec, gpu: Gpu, tensor_parallel: int) -> bool:
    """Whether an engine is that of the reference run, which two constants are calibrated on."""
    return spec.name == REFERENCE_NAME and gpu.key == "mi300x" and tensor_parallel == 1


def bands_from(known: Sequence[LeftOut], case: Case, *, is_reference: bool = False) -> Bands:
    """The same from some of the errors.

    + is_reference: whether it is the reference run, which was checked
    """
    reasons = () if is_reference else _reasons(known, case)
    ttft, itl, latency, throughput = (_band(known, case, kind, len(reasons)) for kind in KINDS)
    # Most published times between tokens, and nearly all latencies, are of a few streams. Under a
    # load they make the throughput, and are no surer than it is.
    itl = max(itl, throughput, key=_width)
    latency = max(latency, itl, key=_width)
    return Bands(ttft, itl, latency, throughput, reasons)


def _width(band: Band) -> float:
    return band.high


def _band(known: Sequence[LeftOut], case: Case, kind: str, n_unchecked: int) -> Band:
    found = _comparable([row for row in known if row.kind == kind], case)
    # What was never checked may be like the worst of what was.
    asked = found if n_unchecked else found[: _first_enough(found) + 1]
    factor = math.exp(max(_worst_source(rows) for rows in asked)) * _UNCHECKED**n_unchecked
    return Band(1 / factor, factor)


def _worst_source(rows: Sequence[LeftOut]) -> float:
    """What four of five errors do not exceed, of all and of each source with many: the runs of one
    resemble each other, and the next run is another source's."""
    of_sources = [
        [error for row in rows if row.source == source for error in row.errors]
        for source in {row.source for row in rows}
    ]
    counted = [errors for errors in of_sources if len(errors) >= _ENOUGH]
    return max(_four_of_five(errors) for errors in (_errors(rows), *counted))


def _four_of_five(errors: Sequence[float]) -> float:
    # The share is that of one more error than there are: the next one is not yet known.
    index = min(len(errors), math.ceil((len(errors) + 1) * LEVEL)) - 1
    return sorted(abs(error) for error in errors)[index]


def _first_enough(found: Sequence[Sequence[LeftOut]]) -> int:
    return next(
        (
            at
            for at, rows in enumerate(found)
            if len(_errors(rows)) >= _ENOUGH and len({row.source for row in rows}) >= _SOURCES
        ),
        len(found) - 1,
    )


def _comparable(of_kind: Sequence[LeftOut], case: Case) -> list[list[LeftOut]]:
    """Left-out errors of ever less similar cases; groups that say nothing are left out."""
    alike: tuple[Callable[[LeftOut], bool], ...] = (
        lambda row: (
            (row.is_amd, row.has_experts, row.count > 1)
            == (case.is_amd, case.has_experts, case.count > 1)
        ),
        lambda row: (row.is_amd, row.has_experts) == (case.is_amd, case.has_experts),
        lambda row: row.is_amd == case.is_amd,
        lambda row: True,
    )
    groups = [[row for row in of_kind if test(row)] for test in alike]
    return [rows for rows in groups if len(_errors(rows)) >= _FEWEST]


def _errors(rows: Sequence[LeftOut]) -> list[float]:
    return [error for row in rows for error in row.errors]


def _reasons(known: Sequence[LeftOut], case: Case) -> tuple[str, ...]:
    found: list[str] = []
    name = GPUS[case.gpu].name if case.gpu in GPUS else case.gpu
    on_gpu = [row for row in known if row.gpu == case.gpu]
    if not on_gpu:
        found.append(f"on {name}")
    same_vendor = [row for row in known if row.is_amd == case.is_amd]
    if case.count not in {row.count for row in same_vendor}:
        vendor = "AMD" if case.is_amd else "NVIDIA"
        found.append(f"with {case.count} of {vendor}'s GPUs")
    if case.family not in {row.family for row in known}:
        found.append(f"of the family {case.family}")
    like = {(row.has_experts, row.is_fp8) for row in same_vendor}
    if (case.has_experts, case.is_fp8) not in like:
        what = "experts" if case.has_experts else "a dense model"
        found.append(f"of {what} in {8 if case.is_fp8 else 16} bits on such a GPU")
    return tuple(f"no published run {one} was checked" for one in found)
