"""docs/planning.md shows what is predicted today."""

from __future__ import annotations

from pathlib import Path

import yaml
from model_files import model

from rocminfra.planning.bench.points import Stage
from rocminfra.planning.capacity.alternatives import alternatives
from rocminfra.planning.capacity.capacity import Serving, capacity
from rocminfra.planning.engine.gpus import GPUS, MI300X
from rocminfra.planning.engine.latency import LatencyConstants
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, VisionShape
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.prediction.predict import (
    PREPROCESS_S_PER_MEGAPIXEL,
    Timing,
    Variant,
    predict,
)
from rocminfra.planning.prediction.published import compare, predict_reference
from rocminfra.planning.prediction.workload import ScannedPages
from rocminfra.runner.output.predict_svg import Panel, prediction_svg

ROOT = Path(__file__).parents[3]
SPEC = model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME)
PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")


def test_published_against_predicted_is_todays() -> None:
    reference = yaml.safe_load((ROOT / "benchmarks" / "reference.yaml").read_text(encoding="utf-8"))
    variant = Variant(SPEC)
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
        assert f"| `{name}_fraction` | {value:.2f} |" in PAGE
    assert f"| `step_overhead_s` | {constants.step_overhead_s * 1000:g} ms" in PAGE
    assert f"| `preprocess_s_per_megapixel` | {PREPROCESS_S_PER_MEGAPIXEL:g} s" in PAGE
    for gpu in GPUS.values():
        bandwidth, peak = gpu.bandwidth_bytes_per_s / 1e12, gpu.bf16_flops / 1e12
        shown = f"{peak:,.1f}" if gpu.bf16_flops == 989.4e12 else f"{peak:,.0f}"
        row = f"| `{gpu.key}` | {gpu.memory_mib:,} | {bandwidth:g} TB/s | {shown} TFLOP/s | "
        assert row + gpu.source in PAGE


def test_the_published_comparison_is_todays() -> None:
    a100, h100 = alternatives(SPEC, Serving())
    nominal, real = (
        f"{size / 1e9:.1f} GB" for size in (a100.nominal_left_bytes, a100.real_left_bytes)
    )
    assert f"160 − 146.81 = {nominal} | {real} |" in PAGE
    assert f"0 to {a100.capacity.kv_cache_tokens_at_best:,} tokens" in PAGE
    assert f"| 2 × H100-80 | {nominal} | {h100.real_left_bytes / 1e9:.1f} GB | nothing |" in PAGE
    assert h100.capacity.kv_cache_tokens_at_best == 0
    overhead = capacity(SPEC, MI300X).overhead
    assert f"it is {overhead.high / 1024**3:.2f} GiB" in PAGE


def test_the_picture_is_todays() -> None:
    pages = ScannedPages(QWEN2_VL_72B.vision or VisionShape(1, 1, 1))
    stages = [Stage("concurrent", streams=(64,))]
    (point,) = predict(Variant(SPEC), stages, pages, Timing(120, 10))
    panel = Panel("docvqa: concurrent@64 on mi300x, max-num-seqs 64", point.traces[0])
    picture = prediction_svg(f"{REFERENCE_NAME}, predicted", [panel])
    assert (ROOT / "docs" / "planning.svg").read_text(encoding="utf-8") == picture
