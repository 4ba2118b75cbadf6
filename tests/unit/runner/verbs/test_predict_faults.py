"""`rocminfra predict` and `capacity`: faults that were seen once, each as a kind."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from schema_check import violations

from rocminfra.planning.capacity.start_up_logs import START_UP_LOGS
from rocminfra.planning.prediction.bands import checked
from rocminfra.runner.cli import run

MODELS = Path(__file__).parents[2] / "planning" / "models"
TEXT_MODEL = str(MODELS / "qwen3-8b.json")
QUESTION = ("--prompt-tokens", "1000", "--output-tokens", "200")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))


def asked(
    capsys: pytest.CaptureFixture[str], *arguments: str, verb: str = "predict"
) -> tuple[int, dict[str, Any]]:
    code = run([verb, "--json", *arguments])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert violations(document, verb) == []
    assert document["code"] == code
    return code, document


def scenario(folder: Path, text: str) -> str:
    path = folder / "asked.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def only_point(found: dict[str, Any]) -> dict[str, Any]:
    (variant,) = found["variants"]
    (one,) = variant["scenarios"]
    (point,) = one["points"]
    return dict(point)


def test_a_number_of_requests_ends_a_point_and_its_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """64 requests that end after some seconds are not divided by the 600 that were allowed."""
    path = scenario(
        tmp_path,
        "data: {kind: synthetic_text, prompt_tokens: 512, output_tokens: 64}\n"
        "stages: [{profile: concurrent, streams: [32]}]\n"
        "max_seconds: 600\nmax_requests: 64\n",
    )
    code, found = asked(capsys, path, "--model", TEXT_MODEL)
    assert code == 0
    point = only_point(found)
    assert point["completed"] == 64
    assert point["duration_s"]["value"] < 60
    rate = point["rates"]["requests_per_s"]["value"]
    assert rate == pytest.approx(64 / point["duration_s"]["value"])
    assert point["rates"]["output_tokens_per_s"]["value"] == pytest.approx(64 * rate)


def test_the_rates_of_a_sweep_follow_from_requests_that_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(
        tmp_path,
        "data: {kind: synthetic_text, prompt_tokens: 512, output_tokens: 64}\n"
        "stages: [{profile: sweep, size: 4}]\nmax_seconds: 600\nmax_requests: 32\n",
    )
    _, found = asked(capsys, path, "--model", TEXT_MODEL)
    points = found["variants"][0]["scenarios"][0]["points"]
    one = points[0]
    assert one["requests_per_second"] > 0.9 / (one["latency_ms"]["mean"]["value"] / 1000 + 0.05)
    assert points[-1]["rate"] == pytest.approx(points[1]["requests_per_second"])


def test_many_sequences_on_two_cards_promise_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An engine so started kept 19,920 tokens, and one request of full length has 24,576."""
    code, found = asked(
        capsys,
        *("--model", str(MODELS / "qwen2.5-72b-instruct.json"), "--gpu", "h100-80"),
        *("--count", "2", "--utilization", "0.95", "--max-model-len", "24576"),
        *("--max-num-seqs", "1024"),
        verb="capacity",
    )
    assert code == 6
    assert not found["fits"]
    assert found["kv_cache_tokens"] <= 19_920
    assert found["overhead"]["low_bytes_per_gpu"] < found["overhead"]["high_bytes_per_gpu"]


def test_more_sequences_and_larger_blocks_have_an_effect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = ("--model", TEXT_MODEL, "--gpu", "h100-80")
    _, few = asked(capsys, *base, verb="capacity")
    _, many = asked(capsys, *base, "--max-num-seqs", "1024", verb="capacity")
    _, large = asked(capsys, *base, "--block-size", "64", verb="capacity")
    assert many["kv_cache_tokens"] < few["kv_cache_tokens"]
    assert many["kv_cache_tokens_expected"] < few["kv_cache_tokens_expected"]
    assert large["kv_blocks"] == pytest.approx(few["kv_blocks"] / 4, abs=1)


def test_the_engine_sees_less_of_nvidias_memory_than_the_driver_reports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, found = asked(capsys, "--model", TEXT_MODEL, "--gpu", "h100-80", verb="capacity")
    assert found["gpu"]["engine_memory_mib"] < found["gpu"]["memory_mib"]


def test_the_next_command_asks_for_the_same_thing(capsys: pytest.CaptureFixture[str]) -> None:
    model = str(MODELS / "llama-3.1-70b-instruct.json")
    arguments = ("--gpu", "h100-80", "--model", model, "--utilization", "0.9")
    code, found = asked(capsys, *arguments, *QUESTION, "--max-num-seqs", "128")
    assert code == 6
    words = shlex.split(found["error"]["next_command"])
    assert words[:2] == ["rocminfra", "capacity"]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given["--model"] == model
    assert given["--gpu"] == "h100-80"
    assert given["--utilization"] == "0.9"
    assert given["--max-num-seqs"] == "128"
    assert run(words[1:]) == 6


def test_a_scenario_for_another_kind_of_model_refuses_itself_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, found = asked(capsys, "smoke", "docvqa", "--model", TEXT_MODEL)
    assert code == 0
    smoke, docvqa = found["variants"][0]["scenarios"]
    assert smoke["error"] is None
    assert len(smoke["points"]) == 5
    assert docvqa["points"] == []
    assert "pages" in docvqa["error"]
    assert run(["predict", "smoke", "docvqa", "--model", TEXT_MODEL]) == 0
    assert "scenario docvqa: no prediction: " in capsys.readouterr().out


def test_lengths_that_vary_are_predicted_to_vary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "data: {kind: synthetic_text, prompt_tokens: 512, output_tokens: 64%s}\n"
        "stages: [{profile: concurrent, streams: [8]}]\nmax_seconds: 60\nmax_requests: 64\n"
    )
    _, alike = asked(capsys, scenario(tmp_path, text % ""), "--model", TEXT_MODEL)
    stdev = ", prompt_tokens_stdev: 200, output_tokens_stdev: 30"
    _, varied = asked(capsys, scenario(tmp_path, text % stdev), "--model", TEXT_MODEL)

    def width(found: dict[str, Any]) -> float:
        latency = only_point(found)["latency_ms"]
        return float(latency["p99"]["value"] / latency["median"]["value"])

    assert width(varied) > width(alike) * 1.2


def test_a_request_that_is_too_long_names_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--model", TEXT_MODEL, "--prompt-tokens", "20000", "--output-tokens", "10")
    code, found = asked(capsys, *arguments)
    assert code == 3
    assert "--max-model-len 16384" in found["error"]["what"]


def test_short_times_are_shown_in_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "--model", TEXT_MODEL, *QUESTION, "--requests", "4"]) == 0
    out = capsys.readouterr().out
    assert " 0.0 s" not in out
    assert " ms (" in out


def test_without_a_completed_request_there_is_no_price_and_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(
        tmp_path,
        "data: {kind: synthetic_text, prompt_tokens: 8000, output_tokens: 4000}\n"
        "stages: [{profile: concurrent, streams: [8]}]\nmax_seconds: 5\n",
    )
    code, found = asked(capsys, path)
    assert code == 3
    assert "not one request would end" in found["error"]["what"]
    assert "max_seconds" in found["error"]["what"]


def test_whose_constants_are_used_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = asked(capsys, "--model", TEXT_MODEL, *QUESTION, "--gpu", "b200", "--requests", "4")
    (variant,) = found["variants"]
    assert variant["assumed_from"] == "h100-80"
    assert "bandwidth_fraction" in variant["assumed_constants"]
    assert not variant["band"]["is_checked"]
    assert any("B200" in reason for reason in variant["band"]["reasons"])
    base = ["predict", "--model", TEXT_MODEL, *QUESTION, "--requests", "4", "--gpu"]
    assert run([*base, "b200"]) == 0
    out = capsys.readouterr().out
    assert "assumed: they are those of NVIDIA H100 SXM 80 GB" in out
    assert "the range is wide, because no published run on NVIDIA B200" in out


def test_how_far_off_it_was_is_said_outside_the_reference_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = checked()
    said = f"{known.figures} figures of others' runs, each left out of the fit, had a median error"
    assert run(["predict", "--model", TEXT_MODEL, *QUESTION, "--requests", "4"]) == 0
    assert f"{said} of {known.median_error:.0%}" in capsys.readouterr().out
    assert run(["capacity", "--model", TEXT_MODEL]) == 0
    logs = START_UP_LOGS
    assert f"of {logs.total} engines that others started, {logs.at_least_worst} had at least" in (
        capsys.readouterr().out
    )
    for words in (("predict", "docvqa"), ("capacity",)):
        assert run(words) == 0
        assert "how far off it was" not in capsys.readouterr().out


def test_speculative_decoding_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = asked(capsys, "--speculative-config", '{"method": "eagle"}')
    assert code == 3
    assert "speculative decoding is not modelled" in found["error"]["what"]


@pytest.mark.parametrize("refused", [("--speculative-config", "{}"), ("--speculative-config={}",)])
def test_the_next_command_of_a_refused_option_keeps_all_others(
    capsys: pytest.CaptureFixture[str], refused: tuple[str, ...]
) -> None:
    code, found = asked(capsys, "smoke", "--model", TEXT_MODEL, *refused, "--gpu", "h100-80")
    assert code == 3
    words = ["rocminfra", "predict", "--json", "smoke", "--model", TEXT_MODEL, "--gpu", "h100-80"]
    assert shlex.split(found["error"]["next_command"]) == words


def test_the_next_command_of_any_refusal_is_about_the_same_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(
        tmp_path,
        "data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}\n"
        "slo: {ttft_ms: 500}\nstages: [{profile: goodput}]\nmax_seconds: 30\n",
    )
    same = ("--model", TEXT_MODEL, "--gpu", "h100-80")
    for arguments, more in (
        (("--concurrency", "4"), ["--prompt-tokens", "1000", "--output-tokens", "200"]),
        (("--prompt-tokens", "10"), ["--output-tokens", "200"]),
        ((path,), ["synthetic_sweep"]),
    ):
        code, found = asked(capsys, *same, *arguments)
        assert code == 3
        kept = [] if arguments == (path,) else arguments
        words = shlex.split(found["error"]["next_command"])
        assert words == ["rocminfra", "predict", "--json", *same, *kept, *more]
    code, found = asked(capsys, "--page", "large", *same, verb="capacity")
    assert code == 3
    words = shlex.split(found["error"]["next_command"])
    assert words == ["rocminfra", "capacity", "--json", *same, "--page", "1700x2200"]


def test_text_is_predicted_for_a_model_whose_images_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its vision encoder takes no part in text, and only pages are refused."""
    model = str(MODELS / "mistral-small-3.1-24b-instruct.json")
    code, found = asked(capsys, "smoke", "docvqa", "--model", model)
    assert code == 0
    smoke, docvqa = found["variants"][0]["scenarios"]
    assert smoke["points"][0]["itl_median_ms"] > 1000 * 2 * 22e9 / 5.3e12
    assert "pages" in docvqa["error"]


def test_a_point_that_its_requests_end_is_drawn_until_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not until the time that it might have taken, in which there is nothing to see."""
    picture = tmp_path / "picture.svg"
    arguments = ("--model", TEXT_MODEL, *QUESTION, "--concurrency", "16", "--requests", "64")
    assert run(["predict", *arguments, "--svg", str(picture)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "KV cache  |" in line)
    assert float(line.split("0 to ")[1].split()[0]) < 60
    assert "86,400" not in picture.read_text(encoding="utf-8")


def test_the_log_has_no_samples_after_the_last_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The cache empties when the last requests end; what it held then is not held for a day."""
    load = ("--prompt-tokens", "2000", "--output-tokens", "2000", "--concurrency", "8")
    _, found = asked(capsys, "--model", TEXT_MODEL, *load, "--requests", "9")
    point = only_point(found)
    assert point["duration_s"]["value"] > 20
    assert 0 < point["kv_usage_min"] < point["kv_usage_max"]


def test_a_cached_prefix_shortens_the_time_to_the_first_token(
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = ("--model", TEXT_MODEL, "--prompt-tokens", "8000", "--output-tokens", "50")
    _, cold = asked(capsys, *base, "--requests", "4")
    _, warm = asked(capsys, *base, "--requests", "4", "--prefix-hits", "0.9")
    cold_ms, warm_ms = (only_point(one)["ttft_ms"]["mean"]["value"] for one in (cold, warm))
    assert warm_ms < cold_ms / 3


def test_every_figure_of_a_published_table_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--concurrency", "16", "--requests", "64", "--tensor-parallel", "2")
    code, found = asked(capsys, "--model", TEXT_MODEL, *QUESTION, *arguments)
    assert code == 0
    point = only_point(found)
    for latency in ("ttft_ms", "itl_ms", "tpot_ms", "token_gap_ms", "latency_ms"):
        for statistic in ("mean", "median", "p95", "p99"):
            figure = point[latency][statistic]
            assert 0 < figure["low"] < figure["value"] < figure["high"]
    rates = point["rates"]
    assert rates["total_tokens_per_s"]["value"] == pytest.approx(
        6 * rates["output_tokens_per_s"]["value"]
    )
    assert point["latency_ms"]["mean"]["value"] == pytest.approx(
        point["ttft_ms"]["mean"]["value"] + 199 * point["tpot_ms"]["mean"]["value"]
    )
    assert found["variants"][0]["count"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--concurrency", "4"),
        ("--prompt-tokens", "10"),
        ("--prefix-hits", "1.5", *QUESTION),
        ("--rate", "0", *QUESTION),
        ("--block-size", "0", *QUESTION),
    ],
)
def test_half_a_question_ends_with_3(arguments: tuple[str, ...]) -> None:
    assert run(["predict", "--model", TEXT_MODEL, *arguments]) == 3
