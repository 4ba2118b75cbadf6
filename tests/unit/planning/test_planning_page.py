"""docs/planning.md shows what is predicted today."""

from __future__ import annotations

import dataclasses
import re
import runpy
from pathlib import Path

import yaml
from model_files import model
from published_page import capacity_lines, left_out_lines, run_line, runs_by_file

from rocminfra.planning.capacity.alternatives import alternatives
from rocminfra.planning.capacity.capacity import Serving, capacity
from rocminfra.planning.capacity.start_up_logs import START_UP_LOGS, StartUpLogs
from rocminfra.planning.engine.gpus import A100_80, GPUS, H100_80, MI300X
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.prediction.api_server import (
    CHAT,
    COMPLETIONS,
    PREPROCESS_S_PER_MEGAPIXEL,
)
from rocminfra.planning.prediction.predict import Variant
from rocminfra.planning.prediction.published import compare, predict_reference
from rocminfra.planning.prediction.published_runs import predicted_figures

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


def _shown(name: str, value: float) -> str:
    return f"{value * 1e6:g} µs" if name.endswith("_s") else f"{value:.2f}"


def test_constants_and_gpus_are_todays() -> None:
    columns = [vars(constants_of(gpu).constants) for gpu in (MI300X, H100_80, A100_80)]
    for field in dataclasses.fields(LatencyConstants):
        cells = [_shown(field.name, column[field.name]) for column in columns]
        assert f"| `{field.name}` | {' | '.join(cells)} | " in PAGE
    assert (
        f"a chat takes {CHAT.request_s * 1000:g} ms of it, a plain completion "
        f"{COMPLETIONS.request_s * 1000:g} ms, a piece of an answer {CHAT.token_s * 1e6:g} µs"
    ) in PAGE
    assert f"the way to it {CHAT.client_s * 1000:g} ms" in PAGE
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
    assert f"| 2 × A100-80 | 160 − 146.81 = {nominal} | {real} | nothing |" in PAGE
    assert f"| 2 × H100-80 | {nominal} | {h100.real_left_bytes / 1e9:.1f} GB | nothing |" in PAGE
    assert a100.capacity.kv_cache_tokens_at_best == 0
    assert h100.capacity.kv_cache_tokens_at_best == 0
    overhead = capacity(SPEC, MI300X).overhead
    assert f"it is {overhead.high / 1024**3:.2f} GiB" in PAGE


def test_the_picture_is_todays() -> None:
    """Where its lines run; where its texts stand depends on the fonts of the machine."""
    script = runpy.run_path(str(ROOT / "docs" / "planning_svg.py"))
    drawn = (ROOT / "docs" / "planning.svg").read_text(encoding="utf-8")
    assert len(_lines(drawn)) == 4
    assert _lines(drawn) == _lines(script["picture"]())


def _lines(svg: str) -> list[str]:
    """The data's marks: two lines of requests, the KV cache's area and its upper edge."""
    marks = re.findall(r'class="mark-(?:line|area) role-mark[^"]*".*?</g>', svg, flags=re.DOTALL)
    return [path for mark in marks for path in re.findall(r' d="([^"]{100,})"', mark)]


def test_the_published_runs_that_take_no_time_are_todays() -> None:
    seen = 0
    for document, runs in runs_by_file():
        assert f"**{document['source']}**" in PAGE
        for run in runs:
            if (run.timing.most_requests or 0) < 200:
                assert run_line(run, predicted_figures(run)) in PAGE
                seen += 1
    assert seen >= 25


def test_left_out_errors_are_todays() -> None:
    for line in left_out_lines()[2:]:
        head, tail = line.split(" |  | ")
        assert re.search(f"{re.escape(head)} \\| [^|]+ \\| {re.escape(tail)}", PAGE)


def test_start_up_logs_against_capacity_are_todays() -> None:
    """An engine of 2023 is the only one that had less than the worst case."""
    worst: list[float] = []
    likely: list[float] = []
    for line in capacity_lines():
        assert line in PAGE
        if errors := re.findall(r"\(([+-][\d.]+)%\)", line):
            *_, engine, _, _, _, _ = line.split("|")
            if float(errors[0]) > 0:
                assert engine.strip() == "vllm 0.2.4"
            worst.append(float(errors[0]))
            likely.append(float(errors[1]))
    found = StartUpLogs(
        len(worst), sum(one <= 0 for one in worst), sum(abs(one) <= 5 for one in likely)
    )
    assert found == START_UP_LOGS
