"""How sure a prediction is."""

from __future__ import annotations

import dataclasses
import math

from model_files import model

from rocminfra.planning.engine.gpus import B200, H100_80, MI300X
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.prediction.bands import KINDS, LEVEL, bands_of, case_of
from rocminfra.planning.prediction.left_out_errors import LEFT_OUT

REFERENCE = model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME)
QWEN3 = model("qwen3-8b")


def test_bands_hold_four_of_five_left_out_figures() -> None:
    for kind in KINDS:
        inside = total = 0
        for row in (one for one in LEFT_OUT if one.kind == kind):
            spec = model("qwen3-30b-a3b" if row.has_experts else "qwen3-8b")
            spec = dataclasses.replace(
                spec, model_type=row.family, dtype_bytes=1 if row.is_fp8 else 2
            )
            gpu = {"mi300x": MI300X}.get(row.gpu, H100_80)
            gpu = dataclasses.replace(gpu, key=row.gpu)
            band = getattr(bands_of(spec, gpu, row.count), kind)
            for error in row.errors:
                total += 1
                # A measured figure is the predicted one over the exponential of its error.
                inside += band.low <= math.exp(-error) <= band.high
        assert total >= 9
        assert inside / total >= LEVEL


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
