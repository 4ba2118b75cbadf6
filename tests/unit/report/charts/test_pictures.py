"""Every picture: what it shows of a sweep, what it leaves out, and why there is none."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from altair.vegalite.v6.schema.core import load_schema
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from sample_report import BAD, KNEE, REASON, SATURATION, bad, sweep

from rocminfra.report.charts.cost import cost_by_load, goodput
from rocminfra.report.charts.distribution import bins, distribution
from rocminfra.report.charts.latency import latency_by_load, throughput_against_latency
from rocminfra.report.charts.library import png, svg
from rocminfra.report.charts.phases import phases
from rocminfra.report.charts.picture import Picture, by_load, labels, rate_text, time_text, titled
from rocminfra.report.charts.predicted import predicted
from rocminfra.report.charts.timeline import thinned, timeline
from rocminfra.report.page.contents import overview
from rocminfra.report.point_report import Load, PointReport, TimeSeries

HOST = sweep().hosts[0]
EMPTY = dataclasses.replace(
    HOST,
    points=(PointReport("01-a", Load("a", "synchronous"), "failed", ("GuideLLM said nothing",)),),
    is_valid=False,
    knee=None,
    saturation=None,
    slo=None,
    economics=None,
)
OVERVIEW = {picture.key: picture for picture in overview(HOST)}


def top() -> PointReport:
    found = HOST.point(SATURATION)
    assert found is not None
    return found


def rows(picture: Picture) -> list[dict[str, Any]]:
    """All rows that a picture shows."""
    assert picture.spec is not None
    return [row for part in picture.spec["datasets"].values() for row in part]


@pytest.mark.parametrize("key", sorted(OVERVIEW))
def test_a_picture_over_all_points_is_valid_vega_lite_and_says_what_it_shows(key: str) -> None:
    picture = OVERVIEW[key]
    assert picture.title.endswith("?")
    assert picture.alt
    assert picture.table is not None
    assert len(picture.table.rows) >= 9
    assert all(len(row) == len(picture.table.headings) for row in picture.table.rows)
    _check(picture)


@pytest.mark.parametrize("draw", [timeline, distribution], ids=lambda draw: draw.__name__)
def test_a_points_picture_is_valid_vega_lite(draw: Any) -> None:
    _check(draw(top(), "key"))


def _check(picture: Picture) -> None:
    assert picture.spec is not None
    found = [error.message for error in Draft7Validator(load_schema()).iter_errors(picture.spec)]
    assert found == []
    drawn = svg(titled(picture))
    assert picture.title in drawn
    assert "var(--" not in drawn
    assert "NaN" not in drawn
    assert png(picture.spec, scale=1).startswith(b"\x89PNG")


def test_points_come_from_the_lightest_load_to_the_heaviest() -> None:
    found = [point.load.label for point in by_load(HOST)]
    assert found[0] == "synchronous"
    assert found[-1] == "throughput"
    assert found[1:-1] == sorted(found[1:-1])


def test_a_load_that_is_repeated_is_told_apart() -> None:
    points = [dataclasses.replace(top(), name=name) for name in ("a", "b")]
    assert labels(points) == {"a": "throughput", "b": "throughput (2)"}


def test_knee_and_saturation_are_marked_and_the_invalid_point_is_on_no_line() -> None:
    picture = throughput_against_latency(HOST)
    marked = {row["text"]: row["point"] for row in rows(picture) if "text" in row}
    assert marked == {"knee": "constant@0.60", "saturation": "throughput"}
    assert KNEE.endswith("0.60")
    apart = {row["point"] for row in rows(picture) if row.get("series") == "not valid"}
    assert apart == {"constant@0.70"}
    assert picture.note is not None
    assert "Not valid, and part of no line: constant@0.70." in picture.note


@pytest.mark.parametrize("draw", [latency_by_load, phases, cost_by_load, predicted])
def test_figures_of_an_invalid_point_are_in_no_other_picture(draw: Any) -> None:
    shown = {row["point"] for row in rows(draw(HOST)) if "point" in row}
    assert "constant@0.70" not in shown
    assert len(shown) == 9


def test_the_floor_of_itl_is_drawn_in_the_units_of_its_panel() -> None:
    found = [row["floor"] for row in rows(latency_by_load(HOST)) if "floor" in row]
    assert found == [27.7]


def test_an_invalid_run_has_no_price_no_knee_and_no_line() -> None:
    host = bad().hosts[0]
    assert cost_by_load(host).spec is None
    assert cost_by_load(host).nothing == "The run is not valid, so there is no price."
    assert latency_by_load(host).spec is None
    found = rows(throughput_against_latency(host))
    assert {row["series"] for row in found} == {"not valid"}
    assert not any("text" in row for row in found)


@pytest.mark.parametrize("key", [picture.key for picture in overview(HOST)])
def test_a_picture_without_data_says_why(key: str) -> None:
    picture = {picture.key: picture for picture in overview(EMPTY)}[key]
    assert picture.spec is None
    assert picture.nothing
    assert picture.nothing.endswith((".", "one."))
    with pytest.raises(ValueError, match=key):
        titled(picture)


def test_a_point_without_records_says_why() -> None:
    bare = dataclasses.replace(top(), requests=(), timeline=TimeSeries())
    assert distribution(bare, "d").nothing == "No requests of this point are on record."
    assert timeline(bare, "t").nothing == ("No engine metrics and no GPU telemetry are on record.")


def test_a_time_line_says_what_is_missing_and_whether_the_window_is_known() -> None:
    series = dataclasses.replace(top().timeline, gpu=(), window_start_s=None)
    note = timeline(dataclasses.replace(top(), timeline=series), "t").note
    assert note == (
        "The measured window is not on record, so none is shaded. Not on record: power, VRAM."
    )


def test_without_objectives_the_option_is_named() -> None:
    assert "--slo ttft_p95=2s" in str(goodput(dataclasses.replace(HOST, slo=None)).nothing)


def test_an_objective_that_is_missed_says_by_how_much_of_the_work() -> None:
    table = goodput(HOST).table
    assert table is not None
    assert table.rows[-1][:5] == ("throughput", "missed", "0.34", "0.84", "40.0%")
    assert "constant@0.70" not in {row[0] for row in table.rows}


def test_the_invalid_point_keeps_its_reason() -> None:
    found = HOST.point(BAD)
    assert found is not None
    assert found.reasons == (REASON,)


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=300))
def test_a_histogram_holds_every_value_once(values: list[float]) -> None:
    found = bins(values)
    assert sum(count for *_, count in found) == len(values)
    assert len(found) <= 40
    for (_, end, _), (start, *_) in pairwise(found):
        assert start == pytest.approx(end)
    assert found[0][0] <= min(values) * (1 + 1e-6)
    assert found[-1][1] >= max(values) * (1 - 1e-6)


def test_a_histogram_by_hand() -> None:
    assert bins([0.0, 1.0, 1.0, 9.0], most=10) == [
        (0, 1, 1),
        (1, 2, 2),
        *((low, low + 1, 0) for low in range(2, 9)),
        (9, 10, 1),
    ]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=2_000))
def test_no_peak_of_a_time_line_is_lost(values: list[float]) -> None:
    samples = [(float(at), value) for at, value in enumerate(values)]
    found = thinned(samples, most=100)
    assert len(found) <= max(100, 2 * -(-len(samples) // -(-len(samples) // 50)))
    assert max(value for _, value in found) == max(values)
    assert min(value for _, value in found) == min(values)
    assert [at for at, _ in found] == sorted({at for at, _ in found})


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0.0396, "39.6 ms"), (1.5, "1,500 ms"), (38.5, "38.50 s"), (612.0, "612 s")],
)
def test_times_have_units(seconds: float | None, shown: str) -> None:
    assert time_text(seconds) == shown


@pytest.mark.parametrize(
    ("rate", "shown"), [(None, "–"), (0.418, "0.42"), (13.333, "13.3"), (2_621.4, "2,621")]
)
def test_rates_claim_three_digits(rate: float | None, shown: str) -> None:
    assert rate_text(rate) == shown
