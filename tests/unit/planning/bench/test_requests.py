"""Every request of a point: its numbers, whether a figure includes it, and nothing of its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.bench.requests import (
    Request,
    RequestsError,
    lines,
    read_line,
    requests,
    sampled,
)

# Four requests of a real report, made with sample_size 0.
REAL = json.loads((Path(__file__).parent / "requests" / "guidellm-0.8.1.json").read_text())


def one(**changes: Any) -> dict[str, Any]:
    """A line's values."""
    values = {"id": "a", "attempt": 1, "outcome": "completed", "scheduled": 1.0, "start": 1.5}
    rest = {"first_token": 1.7, "last_token": 2.5, "end": 2.5, "tokens_in": 147}
    more = {"tokens_cached": None, "tokens_out": 32, "pieces": 20, "in_window": True}
    return {**values, **rest, **more, **changes}


def test_a_real_report_gives_each_request_in_the_order_of_sending() -> None:
    first, second, third, last = requests(REAL, attempt=2)
    assert first == Request(
        id="aeac67a5-ee82-4fcd-b173-18488b9a934f",
        attempt=2,
        outcome="completed",
        scheduled=1795904760.012693,
        start=1795904760.025327,
        first_token=1795904760.043291,
        last_token=1795904760.096229,
        end=1795904760.096714,
        tokens_in=147,
        tokens_cached=None,
        tokens_out=32,
        pieces=19,
        in_window=False,
    )
    assert (second.outcome, second.in_window) == ("completed", False), "it ended in the warm-up"
    assert (third.outcome, third.tokens_out, third.in_window) == ("incomplete", 20, True)
    assert (last.first_token, last.tokens_in, last.tokens_out) == (None, 128, None)


def test_no_text_is_kept_in_a_line() -> None:
    record = {**REAL["requests"]["successful"][0], "output": "SECRET", "request_args": "SECRET"}
    record["info"] = {**record["info"], "error": "SECRET", "traceback": "SECRET"}
    (line,) = lines(requests({**REAL, "requests": {"errored": [record]}}, attempt=1))
    assert "SECRET" not in line
    assert json.loads(line)["outcome"] == "errored"


@pytest.mark.parametrize(
    ("start", "end", "is_in"),
    [
        (1.0, 2.0, True),
        (0.0, 1.0, True),
        (2.0, 3.0, True),
        (0.0, 9.0, True),
        (0.0, 0.9, False),
        (2.1, 3.0, False),
        (None, 1.5, True),
        (None, 2.1, False),
        (1.5, None, False),
    ],
)
def test_the_window_is_guidellms(start: float | None, end: float | None, is_in: bool) -> None:
    timings = {"request_start": start, "request_end": end}
    record = {"request_id": "a", "info": {"timings": timings}}
    benchmark = {"start_time": 1.0, "end_time": 2.0, "requests": {"successful": [record]}}
    (found,) = requests(benchmark, attempt=1)
    assert found.in_window is is_in


@pytest.mark.parametrize(
    "odd", [None, {}, {"successful": None}, {"successful": [3, None]}, {"errored": []}, [1]]
)
def test_what_holds_no_request_gives_none(odd: Any) -> None:
    assert requests({"requests": odd}, attempt=1) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ),
    st.sampled_from(["request_start", "request_end", "targeted_start", "token_iterations"]),
    st.sampled_from(["prompt_tokens", "output_tokens", "cached_tokens", "info", "request_id"]),
)
def test_whatever_a_record_holds_its_line_can_be_read(odd: Any, timing: str, key: str) -> None:
    record = {"request_id": "a", "info": {"timings": {timing: odd}}, key: odd}
    benchmark = {"start_time": odd, "end_time": odd, "requests": {"successful": [record]}}
    found = requests(benchmark, attempt=1)
    assert tuple(map(read_line, lines(found))) == found


def test_numbers_that_cannot_be_are_unknown() -> None:
    timings = {"request_start": -1.0, "request_end": float("nan"), "token_iterations": -2}
    record = {"request_id": "a", "info": {"timings": timings}, "prompt_tokens": float("inf")}
    (found,) = requests({"requests": {"successful": [record]}}, attempt=1)
    assert (found.start, found.end, found.pieces, found.tokens_in) == (None,) * 4


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "id None"),
        (json.dumps(one(outcome="lost")), "outcome 'lost'"),
        (json.dumps(one(in_window=None)), "in_window is None"),
        (json.dumps(one(attempt="1")), "attempt is '1'"),
        (json.dumps(one(end="late")), "end is 'late'"),
        (json.dumps(one(tokens_in=-1)), "tokens_in is -1"),
    ],
)
def test_a_line_that_is_no_request_says_why(line: str, says: str) -> None:
    with pytest.raises(RequestsError, match=says):
        read_line(line)


def test_unknown_keys_of_a_line_are_ignored() -> None:
    assert read_line(json.dumps(one(later="x"))) == Request(**one())


def test_a_sample_keeps_the_first_of_each_population_and_everything_else() -> None:
    report = {"metadata": {"version": 2}, "benchmarks": [{**REAL, "metrics": {"a": 1}}]}
    short = sampled(report, keep=1)
    (benchmark,) = short["benchmarks"]
    assert benchmark["requests"]["successful"] == REAL["requests"]["successful"][:1]
    assert benchmark["requests"]["errored"] == []
    assert benchmark["metrics"] == {"a": 1}
    assert short["metadata"] == report["metadata"]
    assert len(report["benchmarks"][0]["requests"]["successful"]) == 2, "the report is not changed"


@pytest.mark.parametrize("odd", [{}, {"benchmarks": 3}, {"benchmarks": [3, {"requests": None}]}])
def test_a_report_without_requests_stays_as_it_is(odd: dict[str, Any]) -> None:
    assert sampled(odd, keep=1) == odd
