"""Records survive JSON, and what is not one is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bench_fakes import attempt_record, point_record, scenario

from rocminfra.bench.job import make_job
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.progress import Progress, Repeat
from rocminfra.planning.bench.records import RecordError, as_json, read
from rocminfra.settings import load_settings

POINT = point_record(
    Point("a", "constant", rate=0.5, max_concurrency=3),
    reasons=("slow",),
    attempts=(attempt_record(folder="attempt-1"), attempt_record(number=2)),
)
JOB = make_job("r", "h", scenario([{"profile": "sweep"}]), load_settings({})).record


@pytest.mark.parametrize("record", [POINT, JOB], ids=["point", "job"])
def test_a_record_survives_json(record: Any) -> None:
    value = json.loads(json.dumps(as_json(record)))
    assert read(type(record), value, "file.json") == record


def test_what_another_version_wrote_is_refused_by_name() -> None:
    value = {**as_json(POINT), "version": 2}
    with pytest.raises(RecordError, match=r"point\.json has version 2; .* reads version 1"):
        read(PointRecord, value, "point.json")


def test_keys_that_are_not_known_are_ignored_and_those_with_a_default_may_be_missing() -> None:
    value = {**as_json(POINT), "colour": "red"}
    del value["attempts"], value["version"]
    assert read(PointRecord, value, "point.json").attempts == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"started": "noon"}, "started is 'noon', but must be of type float"),
        ({"outcome": "fine"}, "outcome is 'fine'"),
        ({"reasons": "slow"}, "reasons is not a list"),
        ({"reasons": [1]}, "reasons is 1, but must be of type str"),
        ({"point": {"name": "a"}}, "point has no kind"),
        ({"point": {"name": "a", "kind": "replay"}}, "kind is 'replay'"),
        ({"attempts": [7]}, "attempts is not a JSON object"),
        ({"wall_seconds": True}, "wall_seconds is True"),
    ],
)
def test_a_value_of_another_type_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(PointRecord, {**as_json(POINT), **change}, "point.json")
    assert str(caught.value).startswith("point.json: ")
    assert says in str(caught.value)


def test_what_is_missing_is_named() -> None:
    value = as_json(JOB)
    del value["target"]
    with pytest.raises(RecordError, match=r"job\.json has no target"):
        read(JobRecord, value, "job.json")


@pytest.mark.parametrize("value", [None, [], "text"])
def test_what_is_not_an_object_is_refused(value: Any) -> None:
    with pytest.raises(RecordError, match=r"status\.json is not a JSON object"):
        read(Progress, value, "status.json")


def test_progress_says_what_is_repeated() -> None:
    progress = Progress("r", 1, "running", 3, "a", 4, (), (Repeat("a", "a", 2, "hung"),))
    assert read(Progress, as_json(progress), "status.json").repeats[0].attempt == 2
