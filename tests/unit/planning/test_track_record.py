"""What is said of predictions outside the reference run."""

from __future__ import annotations

from dataclasses import replace

from rocminfra.planning.gpus import H100_80, MI300X
from rocminfra.planning.model_config import read_model
from rocminfra.planning.reference_model import (
    REFERENCE_CONFIG,
    REFERENCE_NAME,
    REFERENCE_PROCESSOR,
)
from rocminfra.planning.track_record import caveat

SPEC = read_model(REFERENCE_CONFIG, REFERENCE_NAME, processor=REFERENCE_PROCESSOR)


def test_the_reference_run_needs_no_caveat() -> None:
    assert caveat(SPEC, MI300X, 1) is None


def test_another_gpu_count_or_model_says_how_far_off_predictions_were() -> None:
    for spec, gpu, count in (
        (SPEC, H100_80, 1),
        (SPEC, MI300X, 2),
        (replace(SPEC, name="a/b"), MI300X, 1),
    ):
        said = caveat(spec, gpu, count)
        assert said is not None
        assert "46 %" in said
