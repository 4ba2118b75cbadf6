"""docs/planning.md shows what is predicted today."""

from __future__ import annotations

from pathlib import Path

import yaml
from model_files import model

from rocminfra.planning.gpus import GPUS
from rocminfra.planning.latency import LatencyConstants
from rocminfra.planning.prediction import PREPROCESS_S_PER_MEGAPIXEL, Variant
from rocminfra.planning.published import compare, predict_reference
from rocminfra.planning.reference_model import REFERENCE_NAME

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")


def test_published_against_predicted_is_todays() -> None:
    reference = yaml.safe_load((ROOT / "benchmarks" / "reference.yaml").read_text(encoding="utf-8"))
    variant = Variant(model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME))
    for row in compare(predict_reference(variant, reference), reference):
        line = (
            f"| {row.name} | {row.published:,.1f} {row.unit} | {row.predicted:,.1f} {row.unit} | "
            f"{row.error:+.1%} | {row.role} |"
        )
        assert line in PAGE


def test_constants_and_gpus_are_todays() -> None:
    constants = LatencyConstants()
    for name in ("bandwidth", "compute", "attention", "vision"):
        value = {**vars(constants)}[f"{name}_fraction"]
        assert f"| `{name}_fraction` | {value:.3g}" in PAGE.replace("0.20 ", "0.2 ")
    assert f"| `step_overhead_s` | {constants.step_overhead_s * 1000:g} ms" in PAGE
    assert f"| `preprocess_s_per_megapixel` | {PREPROCESS_S_PER_MEGAPIXEL:g} s" in PAGE
    for gpu in GPUS.values():
        assert f"| `{gpu.key}` | {gpu.memory_mib:,} |" in PAGE
