"""The published reference run as one side of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.comparison.subject import Measured, Subject, Value


def published(reference: Mapping[str, Any], after: Subject) -> Subject:
    """What was published of the scenario that a run measured.

    + reference: ``benchmarks/reference.yaml``
    + after: the run

    Nothing published says how far it would vary; the run's own noise counts. Raises
    :class:`FailedError` for a scenario that was not published.
    """
    scenario = after.configuration.get("Scenario", "unknown")
    known = reference["scenarios"]
    if scenario not in known:
        raise FailedError(
            Fault.RUNS_NOT_COMPARABLE,
            f"{reference['name']} has no scenario {scenario}",
            (f"published are {', '.join(known)}",),
            Do(f"rocminfra bench --scenario {next(iter(known))}"),
        )
    figures = known[scenario]
    points = _concurrent(figures) if "concurrency" in figures else _sweep(figures, after)
    engine, accelerator = reference["engine"], reference["accelerator"]
    return Subject(
        name=reference["name"],
        host=None,
        is_valid=True,
        verdict=reference["source"],
        same={"Model": reference["model"]},
        configuration={
            "GPU": f"{accelerator['count']} x AMD Instinct {accelerator['name']}",
            "Engine": f"vLLM {engine['image'].rpartition(':v')[2]}",
            "Scenario": scenario,
            "Price": f"${reference['price_usd_per_hour']:g} an hour",
        },
        points=points,
    )


def completed_tokens_per_s(figures: Mapping[str, Any]) -> float:
    """Tokens of completed requests a second: what follows from the published figures."""
    tokens = figures["prompt_tokens_median"] + figures["output_tokens_median"]
    found: float = figures["requests"]["completed"] * tokens / figures["duration_s"]
    return found


def _concurrent(figures: Mapping[str, Any]) -> tuple[Measured, ...]:
    streams = figures["concurrency"]
    label = f"concurrent@{streams}"
    return (
        Measured(
            label,
            label,
            {
                "requests_per_s": Value(figures["requests"]["completed"] / figures["duration_s"]),
                "tokens_per_s": Value(float(figures["total_tokens_per_s"])),
                "completed_tokens_per_s": Value(completed_tokens_per_s(figures)),
                "ttft_median_s": Value(float(figures["ttft_median_s"])),
                "itl_median_s": Value(figures["itl_median_ms"] / 1000),
            },
        ),
    )


def _sweep(figures: Mapping[str, Any], after: Subject) -> tuple[Measured, ...]:
    published_itl = figures["itl_median_ms"]
    rates = [point for point in after.points if point.rate_per_s is not None]
    found = [
        Measured(
            "synchronous",
            "synchronous",
            {"itl_median_s": Value(published_itl["synchronous"] / 1000)},
        )
    ]
    if rates:
        # Which rate that was is not published: the run's own highest one stands for it.
        highest = max(rates, key=lambda point: point.rate_per_s or 0.0)
        itl = Value(published_itl["highest_constant_rate"] / 1000)
        found.append(Measured(highest.key, highest.label, {"itl_median_s": itl}))
    return tuple(found)
