"""Every request of a point, as ``requests.jsonl`` beside its report: times and tokens, no text.

Written against report version 2 of GuideLLM 0.8.1, which is run so that it keeps each request's
numbers and drops the text (``sample_size: 0``). Standard library only: this module also runs on
the host.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rocminfra.planning.bench.possible import number_problem

REQUESTS = "requests.jsonl"

# + completed: answered to its end
# + errored: refused, or broken off by the engine
# + incomplete: in flight when the load ended, and cancelled
RequestOutcome = Literal["completed", "errored", "incomplete"]

# GuideLLM's names of the three populations.
_POPULATIONS: Mapping[str, RequestOutcome] = {
    "successful": "completed",
    "errored": "errored",
    "incomplete": "incomplete",
}


class RequestsError(ValueError):
    """A line that is not a request; the message names it."""


@dataclass(frozen=True)
class Request:
    """One request; times are Unix seconds of the load generator's clock, None where unknown.

    + id: GuideLLM's id
    + attempt: number of the attempt at the point that sent it, from 1
    + outcome: see :data:`RequestOutcome`
    + scheduled: when the load profile wanted it sent
    + start: when it was sent
    + first_token, last_token: when its first and last piece of output arrived
    + end: when its answer was complete, failed or was cancelled
    + tokens_in: of the prompt as the engine counted them, chat template and images included; of a
      request without a complete answer, GuideLLM's own count
    + tokens_cached: of those, taken from the engine's prefix cache, where the engine says so
    + tokens_out: of the answer
    + pieces: of output that arrived; fewer than tokens when the engine sends several at once
    + in_window: whether GuideLLM's figures include it: it overlaps the measured window
    """

    id: str
    attempt: int
    outcome: RequestOutcome
    scheduled: float | None
    start: float | None
    first_token: float | None
    last_token: float | None
    end: float | None
    tokens_in: int | None
    tokens_cached: int | None
    tokens_out: int | None
    pieces: int | None
    in_window: bool


def requests(benchmark: Mapping[str, Any], attempt: int) -> tuple[Request, ...]:
    """Every request of a benchmark, in the order in which they were sent.

    + benchmark: one of a report's
    + attempt: number of the attempt that made the report

    Numbers that cannot be, such as a negative time, are None.
    """
    populations = benchmark.get("requests")
    if not isinstance(populations, Mapping):
        return ()
    window = _number(benchmark.get("start_time")), _number(benchmark.get("end_time"))
    found = [
        _request(record, outcome, attempt, window)
        for population, outcome in _POPULATIONS.items()
        for record in populations.get(population) or ()
        if isinstance(record, Mapping)
    ]
    return tuple(sorted(found, key=lambda one: (one.start or one.end or 0.0, one.id)))


def sampled(report: Mapping[str, Any], keep: int) -> dict[str, Any]:
    """A report with only the first requests of each population.

    + report: the report
    + keep: most requests of each population
    """
    benchmarks = report.get("benchmarks")
    if not isinstance(benchmarks, list):
        return dict(report)
    return {**report, "benchmarks": [_shortened(one, keep) for one in benchmarks]}


def lines(found: Iterable[Request]) -> Iterator[str]:
    """The lines of ``requests.jsonl``."""
    for one in found:
        yield json.dumps(asdict(one), separators=(",", ":"), allow_nan=False)


def read_line(line: str) -> Request:
    """A request from a line of ``requests.jsonl``.

    + line: the line

    Unknown keys are ignored. Raises :class:`RequestsError` for anything that is not a request.
    """
    try:
        value = json.loads(line)
    except ValueError as error:
        raise RequestsError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestsError("not a JSON object")
    given: dict[str, Any] = {name: value.get(name) for name in Request.__dataclass_fields__}
    if not isinstance(given["id"], str) or given["outcome"] not in _POPULATIONS.values():
        raise RequestsError(f"no request: id {given['id']!r}, outcome {given['outcome']!r}")
    if not isinstance(given["in_window"], bool):
        raise RequestsError(f"in_window is {given['in_window']!r}, true or false expected")
    if not isinstance(given["attempt"], int):
        raise RequestsError(f"attempt is {given['attempt']!r}, a number expected")
    for name, number in given.items():
        if name not in _NO_NUMBERS and number is not None and _number(number) is None:
            raise RequestsError(f"{name} is {number!r}, a number or null expected")
    return Request(**given)


_NO_NUMBERS = ("id", "outcome", "in_window")


def _request(
    record: Mapping[str, Any],
    outcome: RequestOutcome,
    attempt: int,
    window: tuple[float | None, float | None],
) -> Request:
    info = record.get("info")
    timings = info.get("timings") if isinstance(info, Mapping) else None
    times = timings if isinstance(timings, Mapping) else {}
    # What GuideLLM takes for start and end of a request (request_stats.py).
    start = _first(times.get("request_start"), times.get("resolve_start"))
    end = _first(times.get("request_end"), times.get("resolve_end"))
    return Request(
        id=str(record.get("request_id", "")),
        attempt=attempt,
        outcome=outcome,
        scheduled=_time(times.get("targeted_start")),
        start=start,
        first_token=_time(times.get("first_token_iteration")),
        last_token=_time(times.get("last_token_iteration")),
        end=end,
        tokens_in=_count(record.get("prompt_tokens")),
        tokens_cached=_count(record.get("cached_tokens")),
        tokens_out=_count(record.get("output_tokens")),
        pieces=_count(times.get("token_iterations")),
        in_window=_overlaps(start, end, window),
    )


def _overlaps(
    start: float | None, end: float | None, window: tuple[float | None, float | None]
) -> bool:
    """The rule of ``GenerativeRequestsAccumulator.get_within_range`` (accumulator.py)."""
    first, last = window
    if end is None or first is None or last is None:
        return False
    return end >= first and (end if start is None else start) <= last


def _shortened(benchmark: Any, keep: int) -> Any:
    found = benchmark.get("requests") if isinstance(benchmark, Mapping) else None
    if not isinstance(found, Mapping):
        return benchmark
    short = {
        name: records[:keep] if isinstance(records, list) else records
        for name, records in found.items()
    }
    return {**benchmark, "requests": short}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return None if number_problem(value) is not None else float(value)


def _time(value: Any) -> float | None:
    number = _number(value)
    # Microseconds: what a double holds of today's Unix time.
    return None if number is None else round(number, 6)


def _first(*values: Any) -> float | None:
    times = (_time(value) for value in values)
    return next((time for time in times if time is not None), None)


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
