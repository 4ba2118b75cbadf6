"""How sure a prediction is."""

from __future__ import annotations

import dataclasses
import math

import pytest
import yaml
from model_files import model
from published_page import PUBLISHED, runs_by_file

from rocminfra.planning.engine.gpus import B200, H100_80, MI300X
from rocminfra.planning.engine.latency_constants import constants_of
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.prediction.bands import KINDS, LEVEL, Case, bands_from, bands_of, case_of
from rocminfra.planning.prediction.left_out_errors import LEFT_OUT
from rocminfra.planning.prediction.published_runs import predicted_figures

REFERENCE = model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME)
QWEN3 = model("qwen3-8b")
STEMS = {
    file.stem: document["source"]
    for file in sorted(PUBLISHED.glob("*.yaml"))
    if isinstance(document := yaml.safe_load(file.read_text(encoding="utf-8")), dict)
    and "runs" in document
}


def held(*, unseen: bool) -> dict[str, tuple[int, int]]:
    """How many left-out figures of a kind lie in their bands, and how many there are.

    + unseen: whether a source's bands are made of all others' errors
    """
    found: dict[str, tuple[int, int]] = {}
    for row in LEFT_OUT:
        known = [one for one in LEFT_OUT if not unseen or one.source != row.source]
        case = Case(row.gpu, row.count, row.family, row.has_experts, row.is_fp8)
        bands = bands_from(known, case, is_reference=row.source == "reference")
        band = getattr(bands, row.kind)
        # A measured figure is the predicted one over the exponential of its error.
        inside = sum(band.low <= math.exp(-error) <= band.high for error in row.errors)
        held, total = found.get(row.kind, (0, 0))
        found[row.kind] = held + inside, total + len(row.errors)
    return found


@pytest.mark.parametrize("unseen", [False, True])
def test_bands_hold_four_of_five_left_out_figures(unseen: bool) -> None:
    """Those of a source, too, that neither the constants nor its bands have ever seen."""
    found = held(unseen=unseen)
    assert sum(total for _, total in found.values()) > 300
    for kind in KINDS:
        inside, total = found[kind]
        assert inside / total >= LEVEL
    # Nor are they so wide that they say nothing.
    assert sum(inside for inside, _ in found.values()) / sum(n for _, n in found.values()) < 0.92


def test_left_out_errors_are_those_of_their_constants() -> None:
    """Predicted in full by constants that were fitted without them, as far as that is quick."""
    table: dict[tuple[str, str], list[float]] = {}
    for row in LEFT_OUT:
        table.setdefault((row.source, row.gpu), []).extend(row.errors)
    constants = yaml.safe_load((PUBLISHED / "left-out.yaml").read_text(encoding="utf-8"))
    seen = 0
    for document, runs in runs_by_file():
        source = next(stem for stem, one in STEMS.items() if one == document["source"])
        for run in runs:
            if (run.timing.most_requests or 0) > 100:
                continue
            own = constants_of(run.variant.gpu).constants
            without = dataclasses.replace(own, **constants[run.variant.gpu.key][source])
            for name, value in predicted_figures(run, without).items():
                if not value or name in ("duration_s", "requests_per_s"):  # as another figure says
                    continue
                error = math.log(value / run.figures[name])
                known = table[source, run.variant.gpu.key]
                assert min(abs(error - one) for one in known) < 0.002
                seen += 1
    assert seen >= 60


def test_the_reference_run_was_checked() -> None:
    assert bands_of(REFERENCE, MI300X, 1).reasons == ()


def test_what_was_never_checked_is_named_and_makes_the_band_wider() -> None:
    known = bands_of(QWEN3, H100_80, 1)
    other = bands_of(QWEN3, B200, 1)
    family = bands_of(dataclasses.replace(QWEN3, model_type="gemma2"), H100_80, 1)
    many = bands_of(QWEN3, H100_80, 16)
    assert known.reasons == ()
    assert "B200" in other.reasons[0]
    assert "gemma2" in family.reasons[0]
    assert "16" in many.reasons[0]
    for unknown in (other, family, many):
        assert unknown.itl.high / unknown.itl.low > known.itl.high / known.itl.low


def test_a_precision_that_no_such_model_was_checked_with_is_named() -> None:
    """As if experts on AMD's GPUs had only been measured in 8 bits."""
    seen = [row for row in LEFT_OUT if row.source != "vultr-rocm-cookbook"]
    case = case_of(model("qwen3-30b-a3b"), MI300X, 1)
    known = bands_from(seen, dataclasses.replace(case, is_fp8=True))
    other = bands_from(seen, case)
    assert known.reasons == ()
    assert other.reasons == ("no published run of experts in 16 bits on such a GPU was checked",)
    assert other.throughput.high > known.throughput.high
    assert bands_from(LEFT_OUT, case).reasons == ()


def test_a_band_lies_around_the_prediction() -> None:
    for kind in KINDS:
        band = getattr(bands_of(QWEN3, H100_80, 4), kind)
        low, high = band.around(100.0)
        assert 0 < low < 100 < high


def test_a_case_says_what_it_is() -> None:
    case = case_of(model("qwen3-30b-a3b"), MI300X, 2)
    assert (case.is_amd, case.has_experts, case.count) == (True, True, 2)


def test_many_runs_of_one_source_do_not_make_a_band_narrow() -> None:
    # One stream on two H100 was predicted within 5 %, in a dozen runs of one source.
    assert bands_of(QWEN3, H100_80, 2).itl.high > 1.2


def test_a_latency_is_no_surer_than_the_time_between_its_tokens() -> None:
    found = bands_of(QWEN3, H100_80, 1)
    assert found.latency.high >= found.itl.high
