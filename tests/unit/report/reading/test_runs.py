"""The runs of a results folder: found by name, listed, and said to be incomplete when they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rocminfra.failure import ExitCode, FailedError
from rocminfra.report.reading.runs import find_run, list_results, read_latencies

RECORDED = Path(__file__).parents[3] / "recorded/runs/demo"
FIRST, SECOND = "20260513T101500Z", "20260513T101500Z-3fa9c1"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in (FIRST, SECOND):
        shutil.copytree(RECORDED, tmp_path / name)
    (tmp_path / ".earlier").mkdir()
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_runs_are_listed_newest_first(results: Path) -> None:
    found = list_results(results)
    assert [run.run for run in found] == [SECOND, FIRST]
    assert (found[0].scenario, found[0].hosts) == ("smoke", ("demo",))
    assert (found[0].points, found[0].valid, found[0].complete) == (5, 5, True)


def test_a_run_with_a_damaged_file_is_incomplete(results: Path) -> None:
    (file,) = (results / SECOND).glob("*/01-concurrent-4/report.json")
    file.write_text("{}")
    assert [run.complete for run in list_results(results)] == [False, True]


def test_no_results_folder_is_an_empty_list(tmp_path: Path) -> None:
    assert list_results(tmp_path / "none") == ()


def test_a_run_is_found_by_name_by_folder_and_as_the_last(results: Path) -> None:
    assert find_run(FIRST, results) == results / FIRST
    assert find_run("last", results) == results / SECOND
    assert find_run(str(results / FIRST), Path("elsewhere")) == results / FIRST


@pytest.mark.parametrize("given", ["20260101T000000Z", "last"])
def test_a_run_that_is_not_here_names_those_that_are(
    results: Path, tmp_path: Path, given: str
) -> None:
    where = results if given != "last" else tmp_path / "empty"
    with pytest.raises(FailedError) as caught:
        find_run(given, where)
    assert caught.value.failure.kind is ExitCode.SETTINGS
    known = (f"known: {SECOND}, {FIRST}",) if given != "last" else ()
    assert caught.value.failure.why == known


def test_latencies_have_p95_and_p99(results: Path) -> None:
    latencies = read_latencies(results / FIRST)
    assert [one.point for one in latencies][:2] == ["concurrent@4", "synchronous"]
    for one in latencies:
        for found in (one.ttft_s, one.itl_s, one.latency_s):
            assert found.median is not None
            assert found.p95 is not None
            assert found.p99 is not None
            assert found.median <= found.p95 <= found.p99
