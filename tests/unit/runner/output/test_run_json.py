"""JSON output is what the published schemas say, whatever happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import point_record
from hypothesis import given
from hypothesis import strategies as st
from schema_check import SCHEMAS, load, violations

from rocminfra.failure import Again, Do, ExitCode, Fault
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.records import as_json
from rocminfra.runner.output.run_json import dump, run_document, status_document
from rocminfra.runner.run.results import (
    Failure,
    HostResult,
    HostState,
    OperationResult,
    Outcome,
    RunResult,
)
from rocminfra.runner.run.status_results import HostStatus, Part

_text = st.text(max_size=10)
_failures = st.builds(
    Failure,
    st.sampled_from(Fault),
    _text,
    st.lists(_text, max_size=2).map(tuple),
    st.none() | st.builds(Do, _text) | st.builds(Again, _text, wipe=st.none() | _text),
)
_operations = st.builds(
    OperationResult,
    _text,
    st.sampled_from(Outcome),
    st.floats(0, 1e6) | st.none(),
    st.lists(_text, max_size=2).map(tuple),
)
_hosts = st.builds(
    HostResult,
    _text,
    st.sampled_from(HostState),
    st.lists(_operations, max_size=2).map(tuple),
    st.lists(_failures, max_size=2).map(tuple),
)


def runs(verb: str, then: st.SearchStrategy[Any]) -> st.SearchStrategy[RunResult]:
    return st.builds(
        RunResult,
        st.just(verb),
        _text,
        st.lists(_text, max_size=2).map(tuple),
        st.lists(_hosts, max_size=2).map(tuple),
        st.booleans(),
        st.none() | _text,
        st.none() | _failures,
        then,
    )


_bench = runs("bench", st.none())


@given(runs("plan", st.none()) | _bench | runs("apply", st.none() | _bench))
def test_every_run_fits_its_schema(result: RunResult) -> None:
    document = json.loads(dump(run_document(result, result.code)))
    assert violations(document, result.verb) == []


@given(
    st.lists(
        st.builds(
            HostStatus,
            _text,
            st.dictionaries(
                _text, st.builds(Part, st.booleans(), _text, st.just({"a": None})), max_size=2
            ),
            st.lists(_failures, max_size=1).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    st.none() | _failures,
)
def test_every_status_fits_its_schema(hosts: tuple[HostStatus, ...], error: Failure | None) -> None:
    document = json.loads(dump(status_document(hosts, error)))
    assert violations(document, "status") == []


@pytest.mark.parametrize("schema", [path.stem for path in SCHEMAS.glob("*.json")])
def test_every_object_of_a_schema_is_closed(schema: str) -> None:
    def objects(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, dict):
            own = [node] if "properties" in node else []
            return own + [found for value in node.values() for found in objects(value)]
        return []

    for item in objects(load(schema)):
        assert item["additionalProperties"] is False
        assert set(item["required"]) <= set(item["properties"])


def test_a_benchmarks_points_are_in_its_document(tmp_path: Path) -> None:
    folder = tmp_path / "20260513T101500Z" / "lab-1"
    (folder / "01-concurrent-4").mkdir(parents=True)
    (folder.parent / "left-out" / "01-concurrent-4").mkdir(parents=True)
    measured = Point("01-concurrent-4", "concurrent", streams=4)
    point = as_json(point_record(measured, figures={"completed": 7}))
    for host in ("lab-1", "left-out"):
        text = json.dumps(point)
        (folder.parent / host / "01-concurrent-4" / "point.json").write_text(text)
    # The host's name need not be its folder's.
    host = HostResult("@ssh/lab-1", HostState.DONE, results_folder=str(folder))
    document = run_document(RunResult("bench", "i", (), (host,)), ExitCode.DONE)
    assert violations(json.loads(dump(document)), "bench") == []
    (row,) = document["points"]
    assert (row["host"], row["point"], row["completed"]) == ("lab-1", "concurrent@4", 7)


def test_the_check_itself_can_fail() -> None:
    document = run_document(RunResult("plan", "i", ()), ExitCode.DONE)
    assert violations({**document, "code": 77}, "plan")
    assert violations({**document, "more": 1}, "plan")
    assert violations({**document, "changes": True}, "plan")
    assert violations({key: document[key] for key in document if key != "hosts"}, "plan")
    assert violations({**document, "hosts": [{"name": "a"}]}, "plan")


def test_the_exit_code_is_in_the_document() -> None:
    failed = HostResult("a", HostState.FAILED, (), (Failure(Fault.DISK_NOT_BLANK, "no"),))
    result = RunResult("apply", "i", (), (failed,))
    assert run_document(result, result.code)["code"] == 5
    assert run_document(result, result.code)["hosts"][0]["failures"][0]["kind"] == "refused"
