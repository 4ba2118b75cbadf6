"""Requests, histograms and time lines: by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.report.reading.engine_metrics import cache_hit_share, phases, quantile, read_page
from rocminfra.report.reading.lines import Lines
from rocminfra.report.reading.requests import read_requests
from rocminfra.report.reading.timeline import energy, read_samples


def line(number: int, **changes: Any) -> dict[str, Any]:
    """As rocminfra.planning.bench.requests writes it."""
    start = 1_000.0 + number
    return {
        "id": f"r{number}",
        "attempt": 1,
        "outcome": "completed",
        "scheduled": start,
        "start": start,
        "first_token": start + 0.5,
        "last_token": start + 1.5,
        "end": start + 1.6,
        "tokens_in": 100,
        "tokens_cached": 25,
        "tokens_out": 11,
        "pieces": 11,
        "in_window": True,
        **changes,
    }


def write(folder: Path, name: str, lines: list[Any]) -> None:
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines)
    (folder / name).write_text(text)


class TestRequests:
    def test_times_by_hand(self, tmp_path: Path) -> None:
        write(tmp_path, "requests.jsonl", [line(0), line(1, outcome="errored", end=None)])
        found = read_requests(tmp_path, {})
        first, second = found.samples(1_000.0)
        assert first.start_s == 0.0
        assert first.ttft_s == pytest.approx(0.5)
        assert first.itl_s == pytest.approx(0.1)  # 1 s between 11 tokens
        assert first.latency_s == pytest.approx(1.6)
        assert (first.prompt_tokens, first.output_tokens) == (100, 11)
        assert (second.outcome, second.latency_s) == ("errored", None)
        assert found.cached_share == pytest.approx(0.25)
        assert found.is_complete

    def test_only_the_last_attempt_and_only_the_window(self, tmp_path: Path) -> None:
        lines = [line(0), line(1), line(2, attempt=2), line(3, attempt=2, in_window=False), line(4)]
        write(tmp_path, "requests.jsonl", lines)
        found = read_requests(tmp_path, {})
        assert len(found) == 1
        assert found.outside == 1

    def test_damaged_lines_are_counted_and_the_rest_is_read(self, tmp_path: Path) -> None:
        lines: list[Any] = [
            line(0),
            "{",
            "[1]",
            line(1, outcome="lost"),
            line(2, attempt=True),
            line(3),
        ]
        write(tmp_path, "requests.jsonl", lines)
        found = read_requests(tmp_path, {})
        assert (len(found), found.damaged) == (2, 4)

    def test_times_that_cannot_be_are_unknown(self, tmp_path: Path) -> None:
        text = json.dumps(line(0, first_token=math.nan, end=1.0, tokens_out=1))
        write(tmp_path, "requests.jsonl", [text])
        (sample,) = read_requests(tmp_path, {}).samples(1_000.0)
        assert (sample.ttft_s, sample.itl_s, sample.latency_s) == (None, None, None)

    def test_many_are_thinned_evenly(self, tmp_path: Path) -> None:
        write(tmp_path, "requests.jsonl", [line(number) for number in range(5_000)])
        found = read_requests(tmp_path, {})
        samples = found.samples(1_000.0, 100)
        assert len(found) == 5_000
        assert [sample.start_s for sample in samples] == [50.0 * number for number in range(100)]


def test_lines_that_only_look_like_json_together(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}, {"b": 2}\n{"c": 3}\n\n{"d":\n4}\n')
    lines = Lines(path)
    assert list(lines) == [{"c": 3}]
    assert lines.damaged == 3


class TestHistograms:
    def page(self, folder: Path, name: str, counts: tuple[int, ...], seconds: float) -> Path:
        series = "vllm:request_queue_time_seconds"
        bounds = ("0.3", "0.5", "1.0", "+Inf")
        rows = [
            f'{series}_bucket{{engine="{engine}",le="{bound}"}} {count}'
            for engine in (0, 1)
            for bound, count in zip(bounds, counts, strict=True)
        ]
        rows += [
            f'{series}_sum{{engine="0"}} {seconds}',
            f'{series}_count{{engine="0"}} {counts[-1]}',
        ]
        rows += [
            f'{series}_sum{{engine="1"}} {seconds}',
            f'{series}_count{{engine="1"}} {counts[-1]}',
        ]
        rows += ["vllm:prefix_cache_queries_total 100.0", f"vllm:prefix_cache_hits_total {seconds}"]
        (folder / name).write_text("# TYPE x histogram\n" + "\n".join(rows) + "\n")
        return folder / name

    def test_the_rise_between_two_pages_of_two_engines(self, tmp_path: Path) -> None:
        before = read_page(self.page(tmp_path, "before", (1, 1, 1, 1), 0.1))
        after = read_page(self.page(tmp_path, "after", (1, 5, 11, 11), 7.1))
        (found,) = phases(before, after)
        assert (found.name, found.requests) == ("queue", 20)
        assert found.mean_s == pytest.approx(14 / 20)
        # 8 of 20 up to 0.5 s; the tenth is 2/12 of the way to 1.0 s.
        assert found.median_s == pytest.approx(0.5 + 0.5 * 2 / 12)

    def test_below_the_first_and_above_the_last_bound_nothing_is_known(self) -> None:
        assert quantile({0.3: 10.0, math.inf: 10.0}, 0.5) is None
        assert quantile({0.3: 0.0, math.inf: 10.0}, 0.5) is None
        assert quantile({0.3: 0.0, math.inf: 0.0}, 0.5) is None
        assert quantile({}, 0.5) is None

    @given(
        st.lists(st.integers(0, 50), min_size=3, max_size=8),
        st.floats(0.01, 0.99),
        st.floats(0.01, 0.99),
    )
    def test_quantiles_rise_and_lie_between_the_bounds(
        self, counts: list[int], one: float, other: float
    ) -> None:
        total, buckets = 0, {}
        for bound, count in enumerate(counts):
            total += count
            buckets[float(bound + 1)] = float(total)
        buckets[math.inf] = float(total)
        low, high = (quantile(buckets, share) for share in sorted((one, other)))
        for value in (low, high):
            assert value is None or 1.0 <= value <= len(counts)
        if low is not None and high is not None:
            assert low <= high

    def test_an_engine_that_was_restarted_has_no_phases(self, tmp_path: Path) -> None:
        before = read_page(self.page(tmp_path, "before", (1, 5, 11, 11), 7.1))
        after = read_page(self.page(tmp_path, "after", (0, 1, 1, 1), 0.5))
        assert phases(before, after) == ()
        assert phases(None, after) == ()
        assert cache_hit_share(before, after) is None

    def test_cache_hits(self, tmp_path: Path) -> None:
        (tmp_path / "b").write_text(
            "vllm:prefix_cache_queries_total 100\nvllm:prefix_cache_hits_total 10\n"
        )
        (tmp_path / "a").write_text(
            "vllm:prefix_cache_queries_total 300\nvllm:prefix_cache_hits_total 60\n"
        )
        assert cache_hit_share(read_page(tmp_path / "b"), read_page(tmp_path / "a")) == 0.25


class TestTimeLine:
    def samples(self, folder: Path, gpus: list[list[dict[str, Any]]]) -> None:
        rows = [{"time": 100.0 + 2 * index, "gpus": row} for index, row in enumerate(gpus)]
        write(folder, "telemetry.jsonl", rows)

    def test_energy_from_the_counter_is_interpolated_in_the_window(self, tmp_path: Path) -> None:
        # Two GPUs at 100 W each: 200 J a second.
        self.samples(
            tmp_path,
            [
                [
                    {"energy_j": 500.0 + 200 * t, "power_w": 90.0},
                    {"energy_j": 200.0 * t, "power_w": 90.0},
                ]
                for t in range(6)
            ],
        )
        found = read_samples(tmp_path, 100.0, (101.0, 109.0))
        assert found.energy_j == pytest.approx(8 * 200)
        result = energy(found, 400.0)
        assert result is not None
        assert (result.source, result.joules_per_token) == ("energy counter", pytest.approx(4.0))

    @pytest.mark.parametrize(
        "readings",
        [[None] * 6, [5.0] * 6, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0], [1.0, None, 3.0, 0.0, 5.0, 6.0]],
    )
    def test_power_where_the_counter_is_of_no_use(
        self, tmp_path: Path, readings: list[float | None]
    ) -> None:
        self.samples(tmp_path, [[{"energy_j": value, "power_w": 600.0}] for value in readings])
        found = read_samples(tmp_path, 100.0, (101.0, 109.0))
        result = energy(found, None)
        assert result is not None
        assert (result.source, result.joules) == ("power samples", pytest.approx(600 * 8))
        assert result.joules_per_token is None

    def test_no_energy_where_nothing_says_any(self, tmp_path: Path) -> None:
        self.samples(tmp_path, [[{"power_w": None}], [{}], []])
        assert energy(read_samples(tmp_path, 100.0, (100.0, 104.0)), 1.0) is None
        assert energy(read_samples(tmp_path, 100.0, None), 1.0) is None

    def test_a_counter_that_does_not_span_the_window(self, tmp_path: Path) -> None:
        self.samples(tmp_path, [[{"energy_j": 100.0 * t, "power_w": None}] for t in range(3)])
        assert read_samples(tmp_path, 100.0, (100.0, 110.0)).energy_j is None

    def test_preemptions_count_from_the_point_on(self, tmp_path: Path) -> None:
        rows = [
            {"time": 100.0 + index, "engine": {"preemptions": 40.0 + index, "kv_cache_usage": 0.5}}
            for index in range(3)
        ]
        write(tmp_path, "metrics.jsonl", [*rows, {"time": 103.0, "error": "OSError: no"}])
        found = read_samples(tmp_path, 100.0, (101.0, 102.0))
        assert [moment.preemptions for moment in found.series.engine] == [0.0, 1.0, 2.0]
        assert found.problems == ("1 of 4 samples of metrics.jsonl are errors",)
        assert (found.series.window_start_s, found.series.window_end_s) == (1.0, 2.0)
