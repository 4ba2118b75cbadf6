"""Whether a point's figures fit what the engine counted, what its GPUs can do, and the clocks.

A point that GuideLLM is content with may still be no measurement: another client used the engine,
something else answered, the clock was set while it ran, or the engine was started with other
options between two points. Each function gives reasons, none when all is well.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocminfra.planning.bench.exposition import labels, samples
from rocminfra.planning.bench.requests import Request

# Of the tokens of completed requests, how far GuideLLM's count and the engine's may be apart.
TOKEN_TOLERANCE = 0.02
# Wall clock against monotonic clock: reading both takes time on a busy machine, and NTP slews the
# wall clock by at most 0.05 % (500 ppm, adjtimex(2)).
CLOCK_TOLERANCE_S = 0.1
CLOCK_DRIFT = 0.001
# Longest time between two samples of the engine, one a second; without an answer each takes 5 s.
GAP_S = 15.0
# How long an engine may be silent at the end of a load, and how many times its longest answer. Long
# prompts keep an engine silent for as long as one of them takes; nothing does for three times that.
SILENCE_S = 10.0
SILENT_ANSWERS = 3
# Between engine and load generator on two hosts. Their times are compared with samples that are a
# second apart; hosts that follow NTP are a few milliseconds apart.
OFFSET_TOLERANCE_S = 0.5
# Of a published bandwidth, so that rounding in a data sheet makes no point invalid.
FLOOR_TOLERANCE = 0.02

_CACHE_CONFIG = "vllm:cache_config_info"
# vLLM counts a prompt once, whole, with its first token: what came from the prefix cache and what a
# preemption made it compute again changes nothing (IterationStats in vllm/v1/metrics/stats.py).
_TOKENS = {"prompt_tokens": "tokens_in", "generation_tokens": "tokens_out"}


def engine_doubts(counted: Mapping[str, float], found: Sequence[Request]) -> tuple[str, ...]:
    """Where the engine's counters and GuideLLM's requests contradict each other.

    + counted: by how much the engine's counters rose from before the first request until after the
      last: ``requests``, ``prompt_tokens``, ``generation_tokens``; what is missing is not checked
    + found: every request of the point, those outside its measured window included

    Of a request that was cut off, the engine may have counted everything or nothing: all of its
    prompt and, of its answer, at most what arrived or what the longest answer has.
    """
    completed = [one for one in found if one.outcome == "completed"]
    cut_off = [one for one in found if one.outcome != "completed"]
    if not found:
        return ()
    reasons = []
    requests = counted.get("requests")
    if requests is not None and requests > len(found):
        reasons.append(
            f"the engine finished {requests:,.0f} requests and GuideLLM sent {len(found):,}: "
            "another client used the engine"
        )
    if requests is not None and requests < len(completed):
        reasons.append(
            f"the engine finished {requests:,.0f} requests and GuideLLM saw {len(completed):,} "
            "completed: something else answered some of them"
        )
    for name, key in _TOKENS.items():
        if name in counted:
            reasons += _token_doubts(
                name.replace("_", " "),
                counted[name],
                [getattr(one, key) for one in completed],
                [getattr(one, key) for one in cut_off],
            )
    return tuple(reasons)


def unchecked(counted: Mapping[str, float] | None, found: Sequence[Request]) -> tuple[str, ...]:
    """What :func:`engine_doubts` could not compare, and why, a sentence each."""
    if not counted:
        return ("the engine's /metrics could not be read before and after the point",)
    if not found:
        return ("GuideLLM's report lists no requests",)
    reasons = [f"the engine has no counter of {name}" for name in _NAMES if name not in counted]
    for name, key in _TOKENS.items():
        if any(getattr(one, key) is None for one in found if one.outcome == "completed"):
            reasons.append(f"completed requests without {name.replace('_', ' ')}")
    return tuple(reasons)


_NAMES = ("requests", *_TOKENS)


def stranger_doubts(
    before: Mapping[str, float] | None, after: Mapping[str, float] | None, cut_off: int
) -> tuple[str, ...]:
    """Whether another client's requests were in the engine before or after the point.

    + before, after: samples of the engine's ``/metrics``, with ``running`` and ``waiting``
    + cut_off: requests of the point that were cut off, which the engine may not have noticed yet
    """
    reasons = []
    early, late = _present(before), _present(after)
    if early:
        reasons.append(f"{early:g} requests of another client were in the engine when it began")
    if late > cut_off:
        reasons.append(
            f"{late:g} requests were in the engine when it ended, {cut_off} of them at most its own"
        )
    return tuple(reasons)


def silence_doubts(found: Sequence[Request]) -> tuple[str, ...]:
    """Whether the engine stopped answering while requests waited for it, until the load ended.

    + found: every request of the point

    The figures of such a point are of an engine that answers, thinned by the time in which it did
    not. A silence that ends is the engine's, and stays in the figures.
    """
    waiting = [one for one in found if one.outcome == "incomplete" and one.start and one.end]
    took = [
        one.end - one.start for one in found if one.outcome == "completed" and one.start and one.end
    ]
    if not waiting or not took:
        return ()
    over = max(one.end or 0.0 for one in waiting)
    heard = [one.end for one in found if one.outcome != "incomplete"]
    heard += [time for one in found for time in (one.first_token, one.last_token)]
    since = max(min(one.start or 0.0 for one in waiting), *(time for time in heard if time))
    if over - since <= max(SILENCE_S, SILENT_ANSWERS * max(took)):
        return ()
    return (
        f"the engine answered nothing in the last {over - since:.0f} s of the load, and "
        f"{len(waiting)} requests waited for it: its longest answer before took {max(took):.1f} s",
    )


def floor_doubts(itl_ms: float | None, floor_ms: float | None) -> tuple[str, ...]:
    """Whether tokens came faster than the GPUs can read the weights.

    + itl_ms: median time between tokens
    + floor_ms: see :func:`floor_ms`; None when it is unknown
    """
    if itl_ms is None or floor_ms is None or itl_ms >= (1 - FLOOR_TOLERANCE) * floor_ms:
        return ()
    return (
        f"median inter-token latency is {itl_ms:.2f} ms, and the GPUs need {floor_ms:.2f} ms to "
        "read the weights once: something else answered, or the engine is not the one recorded",
    )


def floor_ms(
    step_bytes: float | None, names: Sequence[str | None], bandwidths: Mapping[str, float]
) -> float | None:
    """Milliseconds that one step of a decoder takes at least: all its weights, read once.

    + step_bytes: weights that every step reads; None when unknown
    + names: what each of the engine's GPUs calls itself
    + bandwidths: published memory bandwidth in bytes a second, by product name

    None when the GPUs are not all of one known product. A guest's GPU has words after the product's
    name (``AMD Instinct MI300X VF``).
    """
    if not step_bytes or step_bytes <= 0 or not names:
        return None
    known = {_bandwidth(name, bandwidths) for name in names}
    bandwidth = known.pop() if len(known) == 1 else None
    if bandwidth is None or bandwidth <= 0:
        return None
    return 1000 * step_bytes / (bandwidth * len(names))


def clock_doubts(samples: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    """Whether the clocks passed evenly while samples were taken.

    + samples: wall clock and monotonic clock of each, in seconds, in order
    """
    reasons = []
    offsets = [wall - monotonic for wall, monotonic in samples]
    if not offsets:
        return ()
    span = samples[-1][1] - samples[0][1]
    moved = max(offsets) - min(offsets)
    if moved > CLOCK_TOLERANCE_S + CLOCK_DRIFT * max(0.0, span):
        reasons.append(
            f"the host's clock was set while the point ran: it moved by {moved:.2f} s against the "
            "monotonic clock"
        )
    gap = max((b[1] - a[1] for a, b in zip(samples, samples[1:])), default=0.0)  # noqa: B905, RUF007
    if gap > GAP_S:
        reasons.append(f"the host stood still while the point ran: no sample for {gap:.0f} s")
    return tuple(reasons)


def offset_doubts(load_generator: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Whether the clocks of the engine's host and of the load generator agree.

    + load_generator: what is known of a load generator on another host, with its ``clock``; None
      for the engine's own host
    """
    if load_generator is None:
        return ()
    clock = load_generator.get("clock")
    if clock is None:
        return ("the clock of the load generator was not compared with this host's",)
    return clock_offset_doubts(clock)


def clock_offset_doubts(clock: Mapping[str, Any]) -> tuple[str, ...]:
    """Whether a measured clock offset is small enough.

    + clock: ``offset_s``, and ``furthest_s``, by how much the clocks differed for certain
    """
    if clock["furthest_s"] <= OFFSET_TOLERANCE_S:
        return ()
    return (
        f"the clock of the load generator is {clock['offset_s']:+.2f} s from this host's, and may "
        f"be {OFFSET_TOLERANCE_S:g} s: see timedatectl on both",
    )


def configuration(page: str) -> dict[str, str]:
    """The engine's configuration as its ``/metrics`` tell it: labels of ``cache_config_info``.

    + page: the page; empty when it has no such series

    Of several data-parallel engines, whatever they have in common is named once.
    """
    found: dict[str, set[str]] = {}
    for series, written, _ in samples(page):
        if series == _CACHE_CONFIG:
            for name, value in labels(written).items():
                if name != "engine":
                    found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def configuration_doubts(
    before: Mapping[str, Any], after: Mapping[str, Any], when: str
) -> tuple[str, ...]:
    """Whether the engine's configuration changed.

    + before, after: configurations; an empty one is unknown and compared with nothing
    + when: since when, such as ``since concurrent@4``
    """
    if not before or not after:
        return ()
    changed = [
        f"{name} {_shown(before.get(name))} → {_shown(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if not changed:
        return ()
    return (f"the engine's configuration changed {when}: {', '.join(changed[:_MOST_SHOWN])}",)


_MOST_SHOWN = 4


def _token_doubts(
    what: str, engine: float, completed: list[int | None], cut_off: list[int | None]
) -> list[str]:
    counts = [one for one in completed if one is not None]
    if not counts or len(counts) < len(completed):
        return []
    least = sum(counts)
    longest = max(counts)
    most = least + sum(max(longest, one or 0) for one in cut_off)
    room = TOKEN_TOLERANCE * least
    if least - room <= engine <= most + room:
        return []
    between = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    which = "another client used the engine" if engine > most else "something else answered"
    return [
        f"the engine counted {engine:,.0f} {what} and GuideLLM {between}, which is more than "
        f"{TOKEN_TOLERANCE:.0%} apart: {which}"
    ]


def _present(sample: Mapping[str, float] | None) -> float:
    return 0.0 if sample is None else sample.get("running", 0.0) + sample.get("waiting", 0.0)


def _bandwidth(name: str | None, bandwidths: Mapping[str, float]) -> float | None:
    words = (name or "").split()
    return next(
        (
            bandwidth
            for product, bandwidth in bandwidths.items()
            if product and words[: len(product.split())] == product.split()
        ),
        None,
    )


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
