"""Every request of a point as columns: from ``requests.jsonl``, or GuideLLM's samples."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocminfra.report.point_report import RequestSample
from rocminfra.report.reading.lines import Lines, number, part

REQUESTS = "requests.jsonl"
OUTCOMES = ("completed", "errored", "incomplete")
# Of a point's requests, for pictures and for the bootstrap.
SHOWN = 1_000
_POPULATIONS = {"successful": "completed", "errored": "errored", "incomplete": "incomplete"}
_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_NONE = math.nan
# Beyond all that is a time or a number of tokens; an integer beyond it is no float.
_MOST = 1e300


@dataclass
class Requests:
    """The requests of a point's measured window, a column a figure; NaN where unknown.

    + start: Unix time
    + ttft, itl, latency: seconds
    + outcome: index in ``OUTCOMES``
    + is_complete: whether these are all requests, and not a sample
    + outside: requests outside the measured window, which are not in the columns
    + damaged: lines that could not be read
    + cached_share: share of the prompt tokens that came from the engine's prefix cache, where the
      engine says so
    """

    start: array[float] = field(default_factory=lambda: array("d"))
    ttft: array[float] = field(default_factory=lambda: array("d"))
    itl: array[float] = field(default_factory=lambda: array("d"))
    latency: array[float] = field(default_factory=lambda: array("d"))
    tokens_in: array[float] = field(default_factory=lambda: array("d"))
    tokens_out: array[float] = field(default_factory=lambda: array("d"))
    outcome: array[int] = field(default_factory=lambda: array("b"))
    is_complete: bool = False
    outside: int = 0
    damaged: int = 0
    cached_share: float | None = None

    def __len__(self) -> int:
        return len(self.outcome)

    def add(self, outcome: str, *figures: float) -> None:
        """Add a request: start, TTFT, ITL, latency, tokens in, tokens out."""
        columns = (self.start, self.ttft, self.itl, self.latency, self.tokens_in, self.tokens_out)
        for column, figure in zip(columns, figures, strict=True):
            column.append(figure)
        self.outcome.append(OUTCOMES.index(outcome))

    def samples(self, origin: float, most: int = SHOWN) -> tuple[RequestSample, ...]:
        """Evenly spaced requests, at most ``most``.

        + origin: Unix time that ``start_s`` counts from
        """
        count = len(self)
        if count <= most:
            chosen: Iterable[int] = range(count)
        else:
            chosen = (index * count // most for index in range(most))
        return tuple(self._sample(index, origin) for index in chosen)

    def _sample(self, index: int, origin: float) -> RequestSample:
        start = _known(self.start[index])
        tokens_in, tokens_out = _known(self.tokens_in[index]), _known(self.tokens_out[index])
        return RequestSample(
            start_s=None if start is None else round(start - origin, 4),
            ttft_s=_known(self.ttft[index]),
            itl_s=_known(self.itl[index]),
            latency_s=_known(self.latency[index]),
            prompt_tokens=None if tokens_in is None else int(tokens_in),
            output_tokens=None if tokens_out is None else int(tokens_out),
            outcome=OUTCOMES[self.outcome[index]],
        )


def read_requests(folder: Path, benchmark: Mapping[str, Any]) -> Requests:
    """The requests of a point.

    + folder: the point's
    + benchmark: of its ``report.json``; empty when that cannot be read
    """
    if (folder / REQUESTS).is_file():
        return _from_lines(folder / REQUESTS)
    return _from_report(benchmark)


def _from_lines(path: Path) -> Requests:
    """Half a million lines of a run have to be read in seconds: this loop is written for speed."""
    found = Requests(is_complete=True)
    lines = Lines(path)
    damaged = 0
    cached = prompts = 0.0
    # The last attempt is the one that the point's figures are from.
    last = 0
    for line in lines:
        get = line.get
        outcome, attempt = get("outcome"), get("attempt")
        if type(outcome) is not str or outcome not in _CODES or type(attempt) is not int:
            damaged += 1
            continue
        if attempt > last:
            last = attempt
            found = Requests(is_complete=True)
            cached = prompts = 0.0
        elif attempt < last:
            continue
        if get("in_window") is not True:
            found.outside += 1
            continue
        start = get("start")
        tokens_in, tokens_out = _one(get("tokens_in")), _one(get("tokens_out"))
        found.start.append(_one(start))
        found.ttft.append(_between(start, get("first_token")))
        gaps = _between(get("first_token"), get("last_token"))
        found.itl.append(gaps / (tokens_out - 1) if tokens_out > 1 else _NONE)
        found.latency.append(_between(start, get("end")))
        found.tokens_in.append(tokens_in)
        found.tokens_out.append(tokens_out)
        found.outcome.append(_CODES[outcome])
        from_cache = _one(get("tokens_cached"))
        # False for NaN as well.
        if from_cache >= 0 and tokens_in > 0:
            cached, prompts = cached + from_cache, prompts + tokens_in
    found.damaged = damaged + lines.damaged
    found.cached_share = cached / prompts if prompts else None
    return found


def _one(value: object) -> float:
    """A number that can be; NaN for anything else, a truth value included."""
    if (type(value) is float or type(value) is int) and 0 <= value < _MOST:
        return value
    return _NONE


def _between(start: object, end: object) -> float:
    """Seconds between two times; NaN when one is unknown or they are in the wrong order."""
    seconds = _one(end) - _one(start)
    return seconds if seconds >= 0 else _NONE


def _from_report(benchmark: Mapping[str, Any]) -> Requests:
    found = Requests()
    rows = []
    for population, outcome in _POPULATIONS.items():
        records = part(benchmark, "requests").get(population)
        for record in records if isinstance(records, list) else ():
            if isinstance(record, Mapping):
                rows.append((outcome, record))
    rows.sort(key=lambda row: number(row[1].get("request_start_time")) or 0.0)
    for outcome, record in rows:
        found.add(
            outcome,
            _figure(record, "request_start_time"),
            _figure(record, "time_to_first_token_ms") / 1000,
            _figure(record, "inter_token_latency_ms") / 1000,
            _figure(record, "request_latency"),
            _figure(record, "prompt_tokens"),
            _figure(record, "output_tokens"),
        )
    totals = part(benchmark, "metrics", "request_totals")
    found.is_complete = number(totals.get("total")) == len(found)
    return found


def _figure(record: Mapping[str, Any], name: str) -> float:
    found = number(record.get(name))
    return _NONE if found is None or found < 0 else found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
