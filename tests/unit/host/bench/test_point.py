"""One GuideLLM process: watched, ended with all that it started, and judged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import FakeEngine, calls, is_gone, job, scenario, set_modes

from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.host.bench.point import finished, peaks, read_point, run_point
from rocminfra.host.bench.telemetry import fetch as telemetry_fetch
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.records import read
from rocminfra.planning.bench.requests import read_line
from rocminfra.planning.bench.retry import Patience

IMPOSSIBLE = Path(__file__).parents[2] / "planning" / "bench" / "impossible"
POINT = Point("01-concurrent-4", "concurrent", streams=4)
PATIENCE = Patience(silence_s=0.6, idle_s=0.5, settle_s=0.1, look_s=0.05)


@pytest.fixture
def measure(tmp_path: Path, engine: FakeEngine, program: Path) -> Callable[..., PointRecord]:
    def run(
        mode: str = "ok",
        repeating: Callable[[Mapping[str, Any]], None] = lambda attempt: None,
        so_far: Sequence[Mapping[str, Any]] = (),
        step_bytes: float | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        set_modes(program, concurrent=mode)
        wanted = scenario([{"profile": "concurrent", "streams": [4]}], **changes)
        made = job(tmp_path, program, engine, wanted)
        folder = tmp_path / POINT.name
        folder.mkdir()
        bandwidths = {"AMD Instinct MI300X": 5.3e12}
        return run_point(
            replace(made.record, step_bytes=step_bytes, gpu_bandwidths=bandwidths),
            POINT,
            folder,
            ProcessGroups(grace_s=0.2),
            so_far=so_far,
            patience=PATIENCE,
            repeating=repeating,
            gpus=["AMD Instinct MI300X"],
        )

    return run


def test_a_good_point_is_valid(
    measure: Callable[..., PointRecord], tmp_path: Path, program: Path
) -> None:
    record = measure()
    assert (record.outcome, record.reasons, record.exit_code) == ("valid", (), 0)
    assert record.figures["completed"] == 46
    assert record.engine["counted"] == {"generation_tokens": pytest.approx(100, abs=1000)}
    folder = tmp_path / POINT.name
    assert read_point(folder) == record
    assert (folder / "metrics_before.prom").read_text().startswith("# TYPE")
    assert {path.name for path in folder.iterdir()} >= {
        *("guidellm.json", "report.json", "report.html", "stdout.log", "stderr.log"),
        *("metrics_after.prom", "metrics.jsonl", "telemetry.jsonl", "requests.jsonl"),
    }
    assert calls(program)[0]["cwd"] == str(folder)
    known = finished(record)
    assert (known.name, known.outcome, known.requests_per_second) == (POINT.name, "valid", 2.0)


def test_every_request_is_kept_and_the_report_has_a_sample(
    measure: Callable[..., PointRecord], program: Path, tmp_path: Path
) -> None:
    written = json.loads((program.parent / "report.json").read_text())
    records = [{"request_id": f"{number}", "prompt_tokens": 147} for number in range(46)]
    written["benchmarks"][0]["requests"]["successful"] = records
    (program.parent / "report.json").write_text(json.dumps(written))
    assert measure(sample_size=5).outcome == "valid"
    folder = tmp_path / POINT.name
    found = [read_line(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    assert {one.id for one in found} == {f"{number}" for number in range(46)}
    (benchmark,) = json.loads((folder / "report.json").read_text())["benchmarks"]
    assert benchmark["requests"]["successful"] == records[:5]
    spec = json.loads((folder / "guidellm.json").read_text())["spec"]
    assert spec["metrics"]["sample_size"] == 0, "otherwise GuideLLM drops requests"


def test_exit_0_with_a_report_full_of_errors_is_invalid(
    measure: Callable[..., PointRecord],
) -> None:
    record = measure("errors")
    assert (record.outcome, record.exit_code) == ("invalid", 0)
    assert "528 of 548" in record.reasons[0]
    assert record.reasons[-1] == "first error: 500 Internal Server Error"
    assert record.figures["errored"] == 528, "the figures of a bad point are evidence"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("silent", "wrote no report"),
        ("garbage", "not a JSON object"),
        ("crash", "exited with 1: Traceback | RuntimeError: Backend validation request failed"),
    ],
)
def test_no_usable_report_is_a_failure(
    measure: Callable[..., PointRecord], mode: str, says: str
) -> None:
    record = measure(mode)
    assert record.outcome == "failed"
    assert says in record.reasons[0]
    assert record.figures is None


def test_a_process_that_hangs_and_ignores_sigterm_is_killed_at_its_limit(
    measure: Callable[..., PointRecord], program: Path, engine: FakeEngine
) -> None:
    engine.running = 1
    record = measure("hang", max_seconds=0.2, overhead_seconds=0.8)
    assert record.outcome == "failed"
    assert "did not end within 1 s" in record.reasons[0]
    assert is_gone(calls(program)[0]["pid"])


@pytest.mark.parametrize("mode", ["leaves a worker", "slow, with a worker"])
def test_workers_do_not_outlive_their_point(
    mode: str, measure: Callable[..., PointRecord], program: Path
) -> None:
    # A slow one looked hung between two samples of the engine, whose counters rise at each.
    record = measure(mode)
    assert (record.outcome, len(record.attempts)) == ("valid", 1)
    assert is_gone(int((program.parent / "worker").read_text()))


def test_a_program_that_is_missing_is_a_failure(
    measure: Callable[..., PointRecord], program: Path
) -> None:
    program.unlink()
    assert "did not start" in measure().reasons[0]


def test_an_engine_that_does_not_answer_is_not_measured(
    measure: Callable[..., PointRecord], engine: FakeEngine, program: Path
) -> None:
    engine.model = "another"
    record = measure()
    assert record.outcome == "failed"
    assert "serves another, not toy" in record.reasons[0]
    assert calls(program) == []


def test_an_engine_that_was_restarted_meanwhile_makes_the_point_invalid(
    measure: Callable[..., PointRecord], engine: FakeEngine
) -> None:
    engine.tokens, engine.step = 10_000.0, -100.0
    record = measure()
    assert record.outcome == "invalid"
    assert "restarted" in record.reasons[0]


def test_an_engine_that_counted_nothing_did_not_answer(
    measure: Callable[..., PointRecord], engine: FakeEngine
) -> None:
    engine.step = 0.0
    assert "counted no token" in measure().reasons[0]


def test_another_clients_requests_make_a_point_invalid(
    measure: Callable[..., PointRecord], engine: FakeEngine, program: Path
) -> None:
    written = json.loads((program.parent / "report.json").read_text())
    records = [{"request_id": f"{number}", "output_tokens": 32} for number in range(46)]
    written["benchmarks"][0]["requests"]["successful"] = records
    (program.parent / "report.json").write_text(json.dumps(written))
    engine.step = 46 * 32.0
    record = measure()
    assert record.outcome == "invalid", "three looks at the counters, and each finds them risen"
    assert "another client used the engine" in record.reasons[0]
    assert record.engine["unchecked"] == [
        "the engine has no counter of requests",
        "the engine has no counter of prompt_tokens",
        "completed requests without prompt tokens",
    ]


def test_tokens_faster_than_the_weights_can_be_read_make_a_point_invalid(
    measure: Callable[..., PointRecord], tmp_path: Path
) -> None:
    record = measure(step_bytes=141e9)
    assert record.engine["itl_floor_ms"] == pytest.approx(26.6, abs=0.01)
    assert record.outcome == "invalid"
    assert "5.25 ms, and the GPUs need 26.60 ms" in record.reasons[0]
    (tmp_path / POINT.name).rename(tmp_path / "first")
    assert measure(step_bytes=27e9).outcome == "valid"


def test_an_engine_with_other_options_than_at_an_earlier_point_makes_a_point_invalid(
    measure: Callable[..., PointRecord], engine: FakeEngine, tmp_path: Path
) -> None:
    engine.extra = 'vllm:cache_config_info{engine="0",block_size="16"} 1\n'
    first = measure()
    assert first.engine["configuration"] == {"block_size": "16"}
    (tmp_path / POINT.name).rename(tmp_path / "first")
    engine.extra = engine.extra.replace("16", "32")
    second = measure(so_far=[first])
    assert second.outcome == "invalid"
    assert second.reasons == (
        "the engine's configuration changed since concurrent@4: block_size 16 → 32",
    )


def test_a_clock_that_is_set_while_a_point_runs_makes_it_invalid(
    measure: Callable[..., PointRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    true_time = time.time

    def jumping() -> float:
        return true_time() + (3600.0 if time.monotonic() - began > 1.5 else 0.0)

    monkeypatch.setattr("rocminfra.host.bench.telemetry.time.time", jumping)
    record = measure("slow, with a worker")
    assert record.outcome == "invalid"
    assert "clock was set while the point ran" in record.reasons[0]


def test_an_engine_without_metrics_can_still_be_measured(
    measure: Callable[..., PointRecord], engine: FakeEngine
) -> None:
    engine.has_metrics = False
    record = measure()
    assert (record.outcome, record.engine["counted"]) == ("valid", None)


def test_a_point_without_its_record_is_not_finished(tmp_path: Path) -> None:
    assert read_point(tmp_path) is None
    (tmp_path / "point.json").write_text('{"outcome": "val')
    assert read_point(tmp_path) is None


def test_all_of_a_point_is_on_the_disk_before_its_record(
    measure: Callable[..., PointRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def fsync(descriptor: int, really: Callable[[int], None] = os.fsync) -> None:
        really(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    measure()
    folder = tmp_path / POINT.name
    *before, last = synced
    assert last == folder / ".point.json.new"
    files = {path for path in folder.rglob("*") if path.name != "point.json"}
    assert len(files) > 8
    assert {folder, *files} <= set(before)


def test_peaks_pass_over_samples_that_failed(tmp_path: Path) -> None:
    samples = [
        {"engine": {"kv_cache_usage": 0.2, "running": 3}},
        {"error": "refused"},
        {"engine": {"kv_cache_usage": 0.9}},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    assert peaks(path) == {"kv_cache_usage": 0.9, "running": 3}
    assert peaks(tmp_path / "none") == {}


@pytest.mark.parametrize("case", ["negative-ttft", "nan-itl"])
def test_a_point_with_impossible_figures_is_invalid(
    case: str, measure: Callable[..., PointRecord], program: Path, tmp_path: Path
) -> None:
    text = (IMPOSSIBLE / f"{case}.json").read_text(encoding="utf-8")
    (program.parent / "report.json").write_text(text, encoding="utf-8")
    record = measure()
    assert record.outcome == "invalid"
    assert record.reasons[0].startswith("impossible figure of GuideLLM: ")
    written = (tmp_path / POINT.name / "point.json").read_text(encoding="utf-8")
    assert (
        read(PointRecord, json.loads(written, parse_constant=pytest.fail), "point.json") == record
    )


def test_an_engine_that_says_what_cannot_be_makes_its_point_invalid(
    measure: Callable[..., PointRecord], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "vllm:kv_cache_usage_perc NaN\nvllm:generation_tokens_total 5\n"
    monkeypatch.setattr("rocminfra.host.bench.point.fetch", _instead(page))
    monkeypatch.setattr("rocminfra.host.bench.telemetry.fetch", lambda _url: page)
    record = measure()
    assert record.outcome == "invalid"
    assert any("kv_cache_usage_perc is nan" in reason for reason in record.reasons)
    assert "kv_cache_usage" not in record.engine["peaks"]


def _instead(page: str) -> Callable[[str], str]:
    return lambda url: page if url.endswith("/metrics") else telemetry_fetch(url)


def test_a_hang_after_the_load_is_repeated_once_with_another_seed(
    measure: Callable[..., PointRecord], engine: FakeEngine, program: Path, tmp_path: Path
) -> None:
    engine.is_quiet = True
    told: list[Mapping[str, Any]] = []
    record = measure("served, then hangs once", max_seconds=0.2, repeating=told.append)
    assert (record.outcome, record.reasons, record.exit_code) == ("valid", (), 0)
    first, second = record.attempts
    assert (first.verdict, second.verdict) == ("hung", "ended")
    assert (first.seed, second.seed) == (42, 43)
    assert [call["seed"] for call in calls(program)] == [42, 43]
    assert is_gone(calls(program)[0]["pid"])
    assert first.last_line == "the load begins"
    assert first.engine["generation_tokens"] == 100.0
    assert first.started < first.ended < second.started
    assert told[0].number == 1
    folder = tmp_path / POINT.name
    aside = folder / first.folder
    assert 'File "' in (aside / first.stacks).read_text()
    assert json.loads((aside / "attempt.json").read_text())["verdict"] == "hung"
    assert json.loads((aside / "guidellm.json").read_text())["spec"]["seed"]["value"] == 42
    assert json.loads((folder / "guidellm.json").read_text())["spec"]["seed"]["value"] == 43
    assert (aside / "stderr.log").exists()
    # The engine's counters of the hung attempt are not those of the repeat.
    assert record.engine["counted"]["generation_tokens"] == 100.0


def test_a_second_hang_is_a_failure(
    measure: Callable[..., PointRecord], engine: FakeEngine, program: Path, tmp_path: Path
) -> None:
    engine.is_quiet = True
    record = measure("served, then hangs", max_seconds=0.2)
    assert record.outcome == "failed"
    assert [attempt.verdict for attempt in record.attempts] == ["hung", "hung"]
    assert "hung after its load" in record.reasons[0]
    assert "the attempt before it: GuideLLM hung" in record.reasons[1]
    assert len(calls(program)) == 2
    assert all(is_gone(call["pid"]) for call in calls(program))
    folder = tmp_path / POINT.name
    assert (folder / "stacks.txt").stat().st_size
    assert (folder / "attempt-1" / "stacks.txt").stat().st_size


def test_a_load_that_never_begins_is_repeated(
    measure: Callable[..., PointRecord], engine: FakeEngine
) -> None:
    engine.is_quiet = True
    record = measure("never begins, once", max_seconds=30.0, overhead_seconds=1.0)
    assert [attempt.verdict for attempt in record.attempts] == ["never began", "ended"]
    assert "sent no request" in record.attempts[0].why


def test_nothing_is_repeated_on_an_engine_that_is_not_idle(
    measure: Callable[..., PointRecord], engine: FakeEngine, program: Path, tmp_path: Path
) -> None:
    engine.is_quiet = True

    def busy(attempt: Mapping[str, Any]) -> None:
        engine.running = 3

    record = measure("served, then hangs once", max_seconds=0.2, repeating=busy)
    assert record.outcome == "failed"
    assert "could not be repeated" in record.reasons[0]
    assert "3 running, 0 waiting" in record.reasons[0]
    assert len(calls(program)) == 1
    assert (tmp_path / POINT.name / "attempt-1" / "attempt.json").exists()


def test_a_hang_while_the_engine_is_busy_ends_at_the_limit_and_is_not_repeated(
    measure: Callable[..., PointRecord], engine: FakeEngine, tmp_path: Path
) -> None:
    engine.is_quiet = True
    engine.running = 1
    record = measure("served, then hangs", max_seconds=0.2, overhead_seconds=1.5)
    (attempt,) = record.attempts
    assert (attempt.verdict, attempt.limit_seconds) == ("timeout", 1.7)
    assert "did not end within 1.7 s" in record.reasons[0]
    assert (tmp_path / POINT.name / attempt.stacks).stat().st_size


def test_what_the_points_before_took_limits_the_next(
    measure: Callable[..., PointRecord], tmp_path: Path
) -> None:
    before = measure()
    assert before.attempts[0].limit_seconds == 21.0
    (tmp_path / POINT.name).rename(tmp_path / "before")
    after = measure(so_far=[before])
    assert after.attempts[0].limit_seconds == 21.0, "never above the scenario's own"
    (tmp_path / POINT.name).rename(tmp_path / "after")
    last = measure(so_far=[before], overhead_seconds=500)
    assert last.attempts[0].limit_seconds == pytest.approx(31 + PATIENCE.silence_s, abs=5)
