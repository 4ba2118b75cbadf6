"""Predictions as text: tables, and the KV cache over time as a line of blocks."""

from __future__ import annotations

from collections.abc import Sequence

from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.engine.latency_constants import constants_of
from rocminfra.planning.prediction.bands import LEVEL, Band, Bands, checked, is_reference_engine
from rocminfra.planning.prediction.grid import Outcome
from rocminfra.planning.prediction.predict import PredictedPoint
from rocminfra.planning.prediction.published import CALIBRATED, Comparison
from rocminfra.planning.prediction.sensitivity import CHANGE, Effect
from rocminfra.planning.prediction.virtual_run import Trace
from rocminfra.runner.output.predict_json import cost
from rocminfra.runner.output.tables import table_lines

_COLUMNS = 64
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:-=+*#@"


def outcome_lines(outcome: Outcome, is_utf8: bool) -> list[str]:
    """One variant: a table per scenario, and the KV cache of its heaviest point."""
    lines: list[str] = []
    for name, points in outcome.scenarios:
        rows = [
            (
                *(name, "done", "req/s", "TTFT p50", "ITL p50", "tok/s all", "tok/s done"),
                *("KV", "preempted", "$/M all"),
            )
        ]
        bands = outcome.bands
        for point in points:
            found = point.figures
            price = cost(outcome.usd_per_hour, found.tokens_per_s_all, found.completed)
            rows.append(
                (
                    f"  {point.point.label}",
                    str(found.completed),
                    f"{found.requests_per_second:.3f}",
                    seconds(found.ttft_median_s, bands.ttft),
                    seconds(found.itl_median_s, bands.itl),
                    _tokens(found.tokens_per_s_all, bands.throughput),
                    f"{found.tokens_per_s_completed:,.0f}",
                    _percents(found.kv_usage_min, found.kv_usage_max),
                    str(found.preemptions),
                    "-" if price is None else f"{price:.3f}",
                )
            )
        lines += table_lines(rows)
        heaviest = max(points, key=lambda point: point.figures.kv_usage_max or 0.0)
        trace = heaviest.traces[0]
        lines += [
            f"  KV cache  |{kv_line(trace, is_utf8)}| {heaviest.point.label}, "
            f"0 to {trace.length_s:.4g} s",
            "",
        ]
    lines += [f"scenario {name}: no prediction: {why}" for name, why in outcome.refused]
    return [*lines, *sureness_lines([outcome])]


def sureness_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """What the ranges mean, what was never checked, and which constants are another GPU's."""
    lines = [f"in brackets: where the measured figure lies in {LEVEL:.0%} of comparable cases"]
    if any(not _is_reference_run(outcome) for outcome in outcomes):
        known = checked()
        lines.append(
            f"how far off it was: {known.figures} figures of others' runs, each left out of the "
            f"fit, had a median error of {known.median_error:.0%}, and {known.within_20:.0%} of "
            "them were within 20% (docs/planning.md)"
        )
    said: set[str] = set()
    for outcome in outcomes:
        reasons = outcome.bands.reasons
        if outcome.error is None and reasons:
            said.add(f"the range is wide, because {', and '.join(reasons)}")
        variant = outcome.variant
        reached = constants_of(variant.gpu)
        if variant.given_constants is None and reached.taken_from is not None:
            other = GPUS[reached.taken_from].name
            said.add(
                f"{len(reached.assumed)} constants of {variant.gpu.name} are assumed: they are "
                f"those of {other}"
            )
    return [*lines, *sorted(said)]


def _is_reference_run(outcome: Outcome) -> bool:
    variant = outcome.variant
    is_its_engine = is_reference_engine(variant.spec, variant.gpu, variant.tensor_parallel)
    return is_its_engine and variant.replicas == 1


def grid_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Several variants: one line per variant and scenario, with its heaviest point."""
    rows: list[tuple[str, ...]] = [
        (
            *("gpu", "seqs", "batched", "max pixels", "KV", "replicas", "scenario", "point"),
            *("req/s", "TTFT p50", "ITL p50", "tok/s all", "$/M all"),
        )
    ]
    errors: dict[str, int] = {}
    for outcome in outcomes:
        choice = outcome.choice
        head = (
            choice.gpu if choice.count == 1 else f"{choice.count} x {choice.gpu}",
            str(choice.max_num_seqs),
            str(choice.max_num_batched_tokens),
            "-" if choice.max_pixels is None else f"{choice.max_pixels:,}",
            choice.kv_cache_dtype,
            str(choice.replicas),
        )
        if outcome.error is not None:
            number = errors.setdefault(outcome.error, len(errors) + 1)
            rows.append((*head, f"({number})"))
            continue
        for name, points in outcome.scenarios:
            point = points[-1]
            found = point.figures
            price = cost(outcome.usd_per_hour, found.tokens_per_s_all, found.completed)
            bands = outcome.bands
            rows.append(
                (
                    *head,
                    name,
                    point.point.label,
                    f"{found.requests_per_second:.3f}",
                    seconds(found.ttft_median_s, bands.ttft),
                    seconds(found.itl_median_s, bands.itl),
                    _tokens(found.tokens_per_s_all, bands.throughput),
                    "-" if price is None else f"{price:.3f}",
                )
            )
    width = max(len(row) for row in rows)
    table = table_lines(row + ("",) * (width - len(row)) for row in rows)
    refused = dict.fromkeys(item for outcome in outcomes for item in outcome.refused)
    return [
        *table,
        *sureness_lines(outcomes),
        *(f"scenario {name}: no prediction: {why}" for name, why in refused if why not in errors),
        *(f"({number}) {error}" for error, number in errors.items()),
    ]


def figure_lines(figures: Sequence[Comparison], measured: str) -> list[str]:
    """Published or measured figures with their predictions.

    + measured: heading of the first column of numbers
    """
    rows: list[tuple[str, ...]] = [("figure", measured, "predicted", "error", "")]
    rows += [
        (
            figure.name,
            f"{figure.published:,.1f} {figure.unit}",
            f"{figure.predicted:,.1f} {figure.unit}",
            f"{figure.error:+.1%}",
            f"{figure.role} ({figure.constant})" if figure.role == CALIBRATED else figure.role,
        )
        for figure in figures
    ]
    return table_lines(rows)


def caption(point: PredictedPoint, bands: Bands) -> str:
    """Figures of a point in one line, for its picture."""
    found = point.figures
    return (
        f"TTFT {seconds(found.ttft_median_s, bands.ttft)}, "
        f"ITL {seconds(found.itl_median_s, bands.itl)}, "
        f"tokens/s {_tokens(found.tokens_per_s_all, bands.throughput)}"
    )


def effect_lines(effects: Sequence[Effect]) -> list[str]:
    """Sensitivity of the figures, one column per constant."""
    constants = list(dict.fromkeys(effect.constant for effect in effects))
    figures = list(dict.fromkeys(effect.figure for effect in effects))
    cells = {(effect.figure, effect.constant): effect for effect in effects}
    rows: list[tuple[str, ...]] = [(f"-{CHANGE:.0%} / +{CHANGE:.0%}", *constants)]
    for figure in figures:
        row = [cells[figure, constant] for constant in constants]
        rows.append((figure, *(f"{one.lower:+.1%} / {one.higher:+.1%}" for one in row)))
    return table_lines(rows)


def kv_line(trace: Trace, is_utf8: bool) -> str:
    """KV cache usage over time, as the maximum per column."""
    levels = _BLOCKS if is_utf8 else _PLAIN
    highest = [0.0] * _COLUMNS
    previous, last = 0.0, 0
    for moment in trace.moments:
        column = min(_COLUMNS - 1, int(moment.at / trace.length_s * _COLUMNS))
        # A step longer than one column fills all columns that it spans.
        for passed in range(last, column):
            highest[passed] = max(highest[passed], previous)
        highest[column] = max(highest[column], moment.kv_usage)
        previous, last = moment.kv_usage, column
    return "".join(levels[round(usage * (len(levels) - 1))] for usage in highest)


def seconds(value: float | None, band: Band) -> str:
    """``41.9 s (33-53)``, in milliseconds below two seconds."""
    if value is None:
        return "-"
    unit, scale = ("s", 1.0) if value >= 2 else ("ms", 1000.0)
    low, high = (one * scale for one in band.around(value))
    digits = 1 if value * scale < 100 else 0
    shown = f"{value * scale:,.{digits}f} {unit}"
    return f"{shown} ({low:,.{digits}f}-{high:,.{digits}f})"


def _tokens(value: float, band: Band) -> str:
    low, high = band.around(value)
    return f"{value:,.0f} ({low:,.0f}-{high:,.0f})"


def _percents(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{100 * low:.1f}-{high:.1%}"
