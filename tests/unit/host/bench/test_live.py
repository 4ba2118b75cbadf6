"""How far a running point is, out of its files."""

from __future__ import annotations

import json
from pathlib import Path

from rocminfra.host.bench.live import live, samples
from rocminfra.planning.bench.progress import PointSummary, Progress


def progress(**changes: object) -> Progress:
    values: dict[str, object] = {
        "run": "20260513T101500Z",
        "pid": 1,
        "state": "running",
        "revision": 3,
        "current": "concurrent@4",
        "planned": 3,
        "points": (
            PointSummary("a", "synchronous", "valid", (), 500, kept=True),
            PointSummary("b", "throughput", "valid", (), 20),
        ),
        "point": "c",
        "point_started": 1000.0,
        "started": 980.0,
        **changes,
    }
    return Progress(**values)  # type: ignore[arg-type]


def write(folder: Path, lines: list[str]) -> None:
    (folder / "c").mkdir()
    (folder / "c" / "metrics.jsonl").write_text("".join(lines))


def test_a_point_that_a_resumed_run_kept_says_nothing_about_time(tmp_path: Path) -> None:
    found = live(tmp_path, progress(), 10.0, 1005.0)
    assert found is not None
    assert (found.number, found.planned, found.label) == (3, 3, "concurrent@4")
    assert (found.point_s, found.point_expected_s) == (5, 20)
    assert (found.run_s, found.run_expected_s) == (25, 40)
    assert found.running is None, "no sample yet"


def test_between_two_points_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert live(tmp_path, progress(current=None), 10.0, 1005.0) is None


def test_the_first_and_the_latest_samples_are_read_and_no_half_line(tmp_path: Path) -> None:
    lines = [
        json.dumps({"time": second, "engine": {"requests": second, "pad": "x" * 900}}) + "\n"
        for second in range(600)
    ]
    write(tmp_path, [*lines, '{"time": 600, "engi'])
    found = samples(tmp_path / "c" / "metrics.jsonl")
    assert found[0]["time"] == 0
    assert found[-1]["time"] == 599
    assert len(found) < 40
    shown = live(tmp_path, progress(), 10.0, 1005.0)
    assert shown is not None
    assert shown.requests == 599


def test_a_short_file_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, ['{"time": 1}\n', '{"time": 2}\n'])
    assert [one["time"] for one in samples(tmp_path / "c" / "metrics.jsonl")] == [1, 2]
