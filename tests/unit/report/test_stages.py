"""What searches found, and how far repeated measurements of one load are apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.records import as_json
from rocminfra.report.stages import conclusions, noise, objectives


def record(label: str, rate: float | None, outcome: str = "valid", **changes: Any) -> PointRecord:
    values: dict[str, Any] = {
        "point": Point("01-x", "concurrent", streams=4),
        "label": label,
        "outcome": outcome,
        "reasons": (),
        "figures": {"tokens_per_second_completed": rate},
        "exit_code": 0,
        "engine": {},
        "started": 1.0,
        "wall_seconds": 1.0,
        **changes,
    }
    return PointRecord(**values)


def test_noise_is_said_of_loads_with_several_valid_measurements() -> None:
    points = [
        *(record("concurrent@4", 100.0), record("concurrent@4 #2", 110.0)),
        record("concurrent@4 #3", 90.0),
        *(record("constant@2.00", 50.0), record("constant@2.00 #2", 70.0, "invalid")),
        *(record("synchronous", None), record("synchronous #2", None)),
    ]
    assert noise(points) == ["concurrent@4: 3 measurements, 90 to 110 tok/s done (± 10.0%)"]


def test_two_rates_with_the_same_label_are_no_repeats() -> None:
    rates = (1.001, 1.002)
    points = [
        record("constant@1.00", rate, point=Point("01-x", "constant", rate=rate)) for rate in rates
    ]
    assert noise(points) == []


def test_a_scenario_with_objectives_says_how_many_requests_meet_them() -> None:
    slo = {"ttft_ms": 20.0, "e2el_ms": 60.0}
    met = {"slo_attainment": 0.8611, "goodput_requests_per_second": 46.246}
    points = [
        record("concurrent@4", None, figures=met),
        record("concurrent@8", None, "invalid", figures=met),
        record("concurrent@16", None, figures={"slo_attainment": 0.0}),
        record("concurrent@32", 1.0),
    ]
    assert objectives(points, slo) == [
        "concurrent@4: 86.1% of completed and failed requests meet TTFT 20 ms, end to end 60 ms, "
        "46.25 a second",
        "concurrent@16: 0.0% of completed and failed requests meet TTFT 20 ms, end to end 60 ms",
    ]
    assert objectives(points, None) == []
    # A folder that somebody has edited.
    odd = record("concurrent@1", None, figures={"slo_attainment": "1"})
    assert objectives([odd], slo) == objectives(points, {"ttft_ms": None}) == []


def search(folder: Path, kind: str, conclusion: dict[str, Any] | None) -> None:
    folder.mkdir(parents=True)
    point = Point("01-x", kind, stage=1)  # type: ignore[arg-type]
    made = record(kind, None, point=point, conclusion=conclusion)
    (folder / "stage.json").write_text(json.dumps(as_json(made)))


def test_a_search_says_what_it_found_and_why_it_ended(tmp_path: Path) -> None:
    found = {"best_passing_streams": 8, "stop_reason": "max_streams_reached"}
    search(tmp_path / "01-goodput", "goodput", found)
    nothing = {"best_passing_streams": None, "stop_reason": "objectives_unmet_at_minimum"}
    search(tmp_path / "02-goodput", "goodput", nothing)
    search(tmp_path / "03-sweep", "sweep", None)
    for name, throughput in (
        ("05-knee", {"knee": 4.01, "reason": "A rising segment followed by a flatter tail"}),
        ("06-knee", {"knee": None, "reason": "No flat tail"}),
    ):
        search(tmp_path / name, "knee", {"final": {"throughput": throughput}})
    (tmp_path / "04-goodput").mkdir()
    (tmp_path / "04-goodput" / "stage.json").write_text("{")
    assert conclusions(tmp_path) == [
        "goodput: 8 streams meet the objectives (max streams reached)",
        "goodput: no number of streams meets the objectives (objectives unmet at minimum)",
        "knee: throughput grows no further from about 4 streams on",
        "knee: no knee was found (No flat tail)",
    ]
