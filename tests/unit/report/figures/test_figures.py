"""Objectives, knee, saturation, price and verdict: examples by hand, and properties."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.failure import FailedError
from rocminfra.report.comparison.published import completed_tokens_per_s
from rocminfra.report.figures import economics, saturation, slo, verdict
from rocminfra.report.figures.slo import Limit
from rocminfra.report.point_report import Figures, Load, Percentiles, PointReport
from rocminfra.report.reading.requests import Requests

REFERENCE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[4] / "benchmarks" / "reference.yaml").read_text(encoding="utf-8")
)


def figures(rate: float, latency: float, **changes: Any) -> Figures:
    found = Figures(
        completed=100,
        errored=0,
        incomplete=0,
        duration_s=100.0,
        requests_per_s=rate,
        tokens_per_s=rate * 1_000,
        completed_tokens_per_s=rate * 900,
        output_tokens_per_s=rate * 100,
        ttft_s=Percentiles(latency / 10, latency / 5, latency / 2),
        itl_s=Percentiles(0.02, 0.03, 0.04),
        latency_s=Percentiles(latency, latency * 1.2, latency * 1.5),
        output_tokens_median=100.0,
    )
    return replace(found, **changes)


def point(name: str, rate: float, latency: float, **changes: Any) -> PointReport:
    found = PointReport(name, Load(name, "concurrent"), "valid", figures=figures(rate, latency))
    return replace(found, **changes)


# Closed loop, by hand: throughput over latency is 0.1, 0.16, 0.15, 0.045.
CURVE = (
    point("one", 0.1, 1.0),
    point("four", 0.32, 2.0),
    point("eight", 0.6, 4.0),
    point("many", 0.9, 20.0),
)


class TestKnee:
    def test_by_hand(self) -> None:
        found = saturation.knee(CURVE)
        assert found is not None
        assert found.point == "four"
        assert "0.32 requests/s in 2 s" in found.why

    def test_none_where_the_curve_does_not_bend(self) -> None:
        assert saturation.knee(CURVE[:2]) is None
        straight = [point(str(rate), float(rate), 1.0) for rate in (1, 2, 3)]
        assert saturation.knee(straight) is None

    def test_a_load_that_brings_no_more_and_waits_longer_lies_beyond(self) -> None:
        found = saturation.knee([*CURVE[:3], point("more", 0.59, 9.0)])
        assert found is not None
        assert found.point == "four"

    def test_an_invalid_point_is_neither_knee_nor_saturation(self) -> None:
        better = point("better", 9.0, 0.1, outcome="invalid")
        assert saturation.knee([*CURVE, better]) == saturation.knee(CURVE)
        assert saturation.saturation([*CURVE, better]) == CURVE[-1]
        assert saturation.saturation([better]) is None

    @given(
        st.lists(st.tuples(st.floats(0.01, 1e3), st.floats(1e-3, 1e3)), min_size=3, max_size=12),
        st.floats(0.01, 100),
        st.randoms(),
    )
    def test_it_does_not_depend_on_order_or_on_units(
        self, pairs: list[tuple[float, float]], scale: float, chance: Any
    ) -> None:
        # Two loads of the same power, or rate, are both right.
        powers = [rate / latency for rate, latency in pairs]
        if len({float(f"{power:.6g}") for power in powers}) < len(pairs):
            return
        if len({rate for rate, _ in pairs}) < len(pairs):
            return
        points = [point(str(index), *pair) for index, pair in enumerate(pairs)]
        found = saturation.knee(points)
        shuffled = list(points)
        chance.shuffle(shuffled)
        again = saturation.knee(shuffled)
        assert (found and found.point) == (again and again.point)
        minutes = [
            point(one.name, *(value * scale for value in pair))
            for one, pair in zip(points, pairs, strict=True)
        ]
        scaled = saturation.knee(minutes)
        assert (found and found.point) == (scaled and scaled.point)
        if found is not None:
            best = max(range(len(pairs)), key=powers.__getitem__)
            assert found.point == str(best)


class TestObjectives:
    def test_as_they_are_given(self) -> None:
        assert slo.parse("ttft_p95=2s, itl_p99=100ms,e2e_median=1.5s") == (
            Limit("ttft", "p95", 2.0),
            Limit("itl", "p99", 0.1),
            Limit("e2e", "p50", 1.5),
        )

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "ttft",
            "ttft_p95=2",
            "ttft_p90=2s",
            "p95=2s",
            "ttft_p95=0s",
            "ttft_p95=-1s",
            "ttft_p95=1.2.3s",
            "ttft_p95=2s;itl_p95=1s",
            "ttft_p95=nans",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(FailedError, match="is no objective"):
            slo.parse(text)

    def test_the_highest_load_that_meets_them(self) -> None:
        # TTFT p95 is a fifth of the latency: 0.2, 0.4, 0.8, 4.0 s.
        limits = slo.parse("ttft_p95=1s")
        judged = [replace(one, slo=slo.outcome(one, Requests(), limits)) for one in CURVE]
        found = slo.summary(judged, limits)
        assert found.highest == "eight"
        assert found.text == "serves up to 0.6 requests/s with TTFT p95 under 1 s"
        assert judged[-1].slo is not None
        assert judged[-1].slo.misses == ("TTFT p95 is 4 s, above 1 s",)
        none = slo.parse("ttft_p95=100ms")
        judged = [replace(one, slo=slo.outcome(one, Requests(), none)) for one in CURVE]
        assert slo.summary(judged, none).text == "no load of this run has TTFT p95 under 100 ms"

    def test_what_was_not_measured_is_not_met(self) -> None:
        nothing = Percentiles(None, None, None)
        limits = slo.parse("itl_p95=1s")
        one = point("one", 1.0, 1.0)
        assert one.figures is not None
        unknown = replace(one, figures=replace(one.figures, itl_s=nothing))
        found = slo.outcome(unknown, Requests(), limits)
        assert found.met is False
        assert found.misses == ("ITL p95 was not measured",)
        # An answer of one token has no gap that could be too long.
        single = replace(one, figures=replace(one.figures, itl_s=nothing, output_tokens_median=1.0))
        assert slo.outcome(single, Requests(), limits).met is True

    def test_goodput_by_hand(self) -> None:
        requests = Requests()
        nan = math.nan
        requests.add("completed", 0, 0.5, 0.02, 1.0, 10, 10)
        requests.add("completed", 1, 1.5, 0.02, 2.0, 10, 10)  # TTFT too long
        requests.add("completed", 2, 0.5, nan, 0.5, 10, 1)  # no gap
        requests.add("errored", 3, nan, nan, nan, 10, 0)
        requests.add("incomplete", 4, nan, nan, nan, 10, 0)  # not judged
        one = point("one", 0.3, 1.0)
        assert one.figures is not None
        one = replace(one, figures=replace(one.figures, completed=3, errored=1))
        found = slo.outcome(one, requests, slo.parse("ttft_p95=1s,itl_p95=100ms"))
        assert found.attained == pytest.approx(2 / 4)
        # 0.3 completed a second are 0.4 finished a second, half of which met both.
        assert found.goodput_per_s == pytest.approx(0.2)

    def test_an_invalid_point_is_not_judged(self) -> None:
        one = point("one", 1.0, 1.0, outcome="invalid")
        assert slo.outcome(one, Requests(), slo.parse("ttft_p95=9s")).met is None


class TestPrice:
    def test_both_published_prices_come_out_of_the_reference_figures(self) -> None:
        docvqa = REFERENCE["scenarios"]["docvqa"]
        served = figures(
            46 / 110,
            60.0,
            tokens_per_s=float(docvqa["total_tokens_per_s"]),
            completed_tokens_per_s=completed_tokens_per_s(docvqa),
        )
        price = REFERENCE["price_usd_per_hour"]
        found = economics.cost(served, price)
        assert found is not None
        assert found.usd_per_million_tokens == pytest.approx(0.211, abs=0.0005)
        assert found.usd_per_million_completed_tokens == pytest.approx(0.264, abs=0.0005)
        assert found.requests_per_usd == pytest.approx(46 / 110 * 3600 / 1.99)
        point = PointReport("p", Load("concurrent@64", "concurrent"), "valid", figures=served)
        whole = economics.economics(point, price, economics.nodes(REFERENCE))
        assert whole is not None
        assert whole.explanation == (
            "2,621 tokens/s, those of requests still unfinished when the load ended included, "
            "cost $0.211 a million; the 2,097 tokens/s of completed requests alone cost $0.264: "
            "20% of the work was for answers that nobody got in the window"
        )
        a100, h100 = whole.alternatives
        assert (a100.usd_per_hour_low, a100.usd_per_hour_high) == (6.0, 8.0)
        assert (h100.usd_per_hour_low, h100.usd_per_hour_high) == (12.0, 16.0)
        # $6.00 an hour must bring 6.00 / 1.99 times the tokens.
        assert a100.breakeven_tokens_per_s_low == pytest.approx(2621 * 6.0 / 1.99)
        assert whole.break_even[0].utilization == pytest.approx(1.99 / 6.0)

    def test_no_price_without_one(self) -> None:
        assert economics.cost(figures(1, 1), None) is None
        found = economics.economics(CURVE[0], None, ())
        assert found is not None
        assert found.cost is None
        assert found.explanation == "no price: cost.usd_per_hour is not set"
        assert economics.economics(None, 1.99, ()) is None

    def test_no_price_of_nothing(self) -> None:
        nothing = figures(1, 1, tokens_per_s=None, output_tokens_per_s=0.0, requests_per_s=0.0)
        found = economics.cost(nothing, 1.99)
        assert found is not None
        assert found.usd_per_million_tokens is None
        assert found.usd_per_million_output_tokens is None
        assert found.requests_per_usd is None

    @given(st.floats(0.01, 1e4), st.floats(1e-2, 1e7), st.floats(1.01, 10))
    def test_it_is_proportional(self, price: float, rate: float, times: float) -> None:
        def usd(dollars: float, tokens: float) -> float:
            found = economics.cost(figures(1, 1, tokens_per_s=tokens), dollars)
            assert found is not None
            assert found.usd_per_million_tokens is not None
            return found.usd_per_million_tokens

        assert usd(price * times, rate) == pytest.approx(times * usd(price, rate))
        assert usd(price, rate * times) == pytest.approx(usd(price, rate) / times)
        # A million tokens take 10⁶ / rate seconds of the node.
        assert usd(price, rate) == pytest.approx(price / 3600 * 1e6 / rate)


class TestVerdict:
    def test_half_of_the_points_is_enough_and_less_is_not(self) -> None:
        assert verdict.is_believable(5, 10)
        assert not verdict.is_believable(4, 10)
        assert not verdict.is_believable(0, 0)

    def test_one_sentence(self) -> None:
        limits = slo.parse("ttft_p95=1s")
        judged = [replace(one, slo=slo.outcome(one, Requests(), limits)) for one in CURVE]
        money = economics.economics(CURVE[-1], 1.99, ())
        assert verdict.verdict(judged, 4, slo.summary(judged, limits), money) == (
            "serves up to 0.6 requests/s with TTFT p95 under 1 s; $0.61 a million tokens at "
            "saturation; valid: 4 of 4 points"
        )

    def test_of_a_bad_run(self) -> None:
        bad = [point("one", 1, 1, outcome="failed", reasons=("the engine\nis gone",))]
        assert verdict.verdict(bad, 1, None, None) == (
            "INVALID: no point is valid; one: the engine is gone"
        )
        assert verdict.verdict([], 0, None, None) == "INVALID: the run has no points"
