"""`rocminfra predict`: scenarios, grids, the check, calibration, the picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from bench_fakes import RUN, point_record, scenario
from schema_check import violations

from rocminfra.bench.job import make_job
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.records import as_json
from rocminfra.runner.cli import run
from rocminfra.settings import load_settings

MODELS = Path(__file__).parents[2] / "planning" / "models"


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["predict", "--json", *arguments])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert violations(document, "predict") == []
    assert document["code"] == code
    return code, document


def test_without_arguments_it_predicts_both_published_scenarios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, found = asked(capsys)
    assert code == 0
    (variant,) = found["variants"]
    assert [scenario["name"] for scenario in variant["scenarios"]] == ["synthetic_sweep", "docvqa"]
    sweep, docvqa = variant["scenarios"]
    assert len(sweep["points"]) == 10
    (point,) = docvqa["points"]
    assert point["label"] == "concurrent@64"
    assert point["usd_per_million_tokens_all"] == pytest.approx(
        1.99 / (point["tokens_per_s_all"] * 3600 / 1e6)
    )


def test_the_check_lists_every_published_figure(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = asked(capsys, "--check")
    assert code == 0
    assert len(found["figures"]) == 10
    assert sum(row["role"] == "calibrated on" for row in found["figures"]) <= 3
    for row in found["figures"]:
        assert row["error"] == pytest.approx(row["predicted"] / row["published"] - 1, abs=2e-4)
        assert abs(row["error"]) <= 0.2


def test_several_values_make_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("docvqa", "--gpu", "mi300x,a100-80", "--max-pixels", "none,1003520")
    code, found = asked(capsys, *arguments)
    assert code == 0
    assert [(one["gpu"], one["max_pixels"]) for one in found["variants"]] == [
        ("mi300x", None),
        ("mi300x", 1_003_520),
        ("a100-80", None),
        ("a100-80", 1_003_520),
    ]
    assert [one["error"] is None for one in found["variants"]] == [True, True, False, False]
    assert found["variants"][0]["usd_per_hour"] == 1.99
    assert found["variants"][2]["usd_per_hour"] is None


def test_a_model_that_does_not_fit_ends_with_6(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = asked(capsys, "docvqa", "--gpu", "h200")
    assert code == 6
    assert "does not fit" in found["error"]["what"]
    assert found["error"]["next_command"] == "rocminfra capacity --gpu h200 --count 1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-scenario",),
        ("--model", "nobody/nothing"),
        ("--model", str(MODELS / "gemma-3-27b-it.json")),
        ("--check", "--model", str(MODELS / "qwen3-8b.json")),
        ("--check", "--gpu", "mi325x"),
        ("--check", "--max-num-seqs", "64,32"),
        ("--check", "--utilization", "0.9"),
        ("--check", "docvqa"),
        ("docvqa", "--max-pixels", "12845057"),
        ("docvqa", "--model", str(MODELS / "qwen3-8b.json")),  # pages, and no eyes
        ("docvqa", "--max-num-batched-tokens", "16"),
    ],
)
def test_what_cannot_be_predicted_ends_with_3(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, found = asked(capsys, *arguments)
    assert code == 3
    assert found["error"]["what"]


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_a_price_that_is_no_amount_ends_with_3(value: str) -> None:
    assert run(["predict", "docvqa", "--usd-per-hour", value]) == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(("--gpu", "h200,a100-80"), 6), (("--gpu", "mi300x,mi325x", "--max-model-len", "2000"), 3)],
)
def test_a_grid_without_a_single_prediction_says_which_class_of_failure(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: int
) -> None:
    code, found = asked(capsys, "docvqa", *arguments)
    assert code == expected
    assert all(one["error"] for one in found["variants"])


def test_why_a_variant_has_no_prediction_stands_below_the_grid(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["predict", "docvqa", "--gpu", "mi300x,a100-80,h200"]) == 0
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("(1) ")
    assert "A100" in first
    assert second.startswith("(2) ")
    assert "H200" in second


@pytest.mark.parametrize("value", ["0", "x", "1,,2", ""])
def test_wrong_values_end_with_3(value: str) -> None:
    assert run(["predict", "--max-num-seqs", value]) == 3


def test_people_get_tables_and_a_line_of_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "docvqa"]) == 0
    out = capsys.readouterr().out
    assert "concurrent@64" in out
    assert "KV cache  |" in out
    assert run(["predict", "--check"]) == 0
    assert "held out" in capsys.readouterr().out


def test_the_picture_is_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "picture.svg"
    assert run(["predict", "docvqa", "--svg", str(path)]) == 0
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("TTFT 42.") and "(" in text for text in texts)
    assert {"running", "waiting", "KV cache used", "requests", "seconds"} <= set(texts)
    marks = [
        path.attrib["d"]
        for path in root.iter("{http://www.w3.org/2000/svg}path")
        if path.get("aria-roledescription") == "line mark"
    ]
    # Two of requests, and the edge of the KV cache.
    assert len(marks) == 3
    assert all(mark.count("L") > 10 for mark in marks)
    assert "var(--" not in path.read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(["predict", "docvqa", "--svg", str(tmp_path / "no" / "folder.svg")]) == 3


def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    path = tmp_path / "picture.svg"
    assert run(["predict", "docvqa", "--svg", str(path)]) == 3
    err = capsys.readouterr().err
    assert "pictures need altair, which is not installed" in err
    assert "pip install 'rocminfra[report]'" in err
    assert not path.exists()


def result_folder(folder: Path, itl_ms: float, ttft_ms: float, outcome: str = "valid") -> Path:
    """What a benchmark of a synchronous point leaves behind, as far as calibration reads it."""
    host = folder / RUN / "mi300x-1"
    point = host / "01-synchronous"
    point.mkdir(parents=True)
    wanted = scenario([{"profile": "synchronous"}], max_seconds=120.0)
    made = make_job(RUN, "mi300x-1", wanted, load_settings({}))
    (host / "job.json").write_text(made.text, encoding="utf-8")
    figures = {
        "prompt_tokens_p50": 8_211.0,
        "output_tokens_p50": 1_024.0,
        "image_pixels_mean": None,
        "ttft_p50_ms": ttft_ms,
        "itl_p50_ms": itl_ms,
    }
    measured = Point("01-synchronous", "synchronous")
    record = point_record(measured, outcome=outcome, figures=figures)
    (point / "point.json").write_text(json.dumps(as_json(record)), encoding="utf-8")
    return folder / RUN


def test_a_measured_run_calibrates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = result_folder(tmp_path, itl_ms=45.0, ttft_ms=3_000.0)
    code, found = asked(capsys, "docvqa", "--calibrate", str(results))
    assert code == 0
    assert found["constants"]["bandwidth_fraction"] < 0.7
    assert found["constants"]["compute_fraction"] < 0.4
    assert [row["role"] for row in found["figures"]] == ["calibrated on", "calibrated on"]
    assert all(abs(row["error"]) < 0.01 for row in found["figures"])


def test_with_measured_constants_every_published_figure_is_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = result_folder(tmp_path, itl_ms=45.0, ttft_ms=3_000.0)
    code, found = asked(capsys, "--check", "--calibrate", str(results))
    assert code == 0
    roles = [row["role"] for row in found["figures"]]
    assert roles == ["calibrated on"] * 2 + ["held out"] * 10


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("job.json", {"scenario": {"max_seconds": "x"}}),
        ("job.json", {"scenario": {}}),
        ("01-synchronous/point.json", {"point": {}}),
        ("01-synchronous/point.json", {"version": 2}),
        ("01-synchronous/point.json", {"figures": {"prompt_tokens_p50": -1}}),
        ("01-synchronous/point.json", {"figures": {"itl_p50_ms": float("nan")}}),
        ("01-synchronous/point.json", {"figures": {"itl_p50_ms": "fast"}}),
    ],
)
def test_a_result_that_no_benchmark_wrote_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, change: dict[str, Any]
) -> None:
    results = result_folder(tmp_path, itl_ms=45.0, ttft_ms=3_000.0)
    file = results / "mi300x-1" / path
    record = json.loads(file.read_text(encoding="utf-8"))
    if "figures" in change:
        change = {"figures": {**record["figures"], **change["figures"]}}
    file.write_text(json.dumps({**record, **change}), encoding="utf-8")
    code, found = asked(capsys, "docvqa", "--calibrate", str(results))
    assert code == 3
    assert str(file) in found["error"]["what"]


def test_a_run_longer_than_the_engine_allows_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = result_folder(tmp_path, itl_ms=45.0, ttft_ms=3_000.0)
    arguments = ("docvqa", "--max-model-len", "4096", "--calibrate", str(results))
    code, found = asked(capsys, *arguments)
    assert code == 3
    assert "cannot calibrate" in found["error"]["what"]


def test_a_run_faster_than_the_gpu_calibrates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = result_folder(tmp_path, itl_ms=2.0, ttft_ms=100.0)
    code, found = asked(capsys, "--calibrate", str(results))
    assert code == 3
    assert "published peak" in found["error"]["why"][0]


def test_a_run_without_valid_points_calibrates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = result_folder(tmp_path, 45.0, 3_000.0, outcome="invalid")
    code, found = asked(capsys, "--calibrate", str(results))
    assert code == 3
    assert "no valid point" in found["error"]["what"]


def test_a_search_cannot_be_predicted_and_a_native_sweep_can(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = "data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}\nmax_seconds: 30\n"
    search = tmp_path / "search.yaml"
    search.write_text(f"{text}slo: {{ttft_ms: 500}}\nstages: [{{profile: goodput}}]\n")
    assert run(["predict", str(search)]) == 3
    assert "profile goodput cannot be predicted" in capsys.readouterr().err
    native = tmp_path / "native.yaml"
    native.write_text(f"{text}repeat: 2\nstages: [{{profile: sweep, size: 3, native: true}}]\n")
    code, found = asked(capsys, str(native))
    assert code == 0
    (scenario,) = found["variants"][0]["scenarios"]
    assert len(scenario["points"]) == 3
