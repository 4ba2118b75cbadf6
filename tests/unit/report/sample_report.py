"""A report as read from a result folder: a sweep with one bad and one repeated point."""

from __future__ import annotations

import dataclasses
import math

from rocminfra.report.point_report import (
    AttemptSummary,
    Cost,
    Energy,
    Figures,
    Load,
    Moment,
    Percentiles,
    Phase,
    PointReport,
    Predicted,
    RequestSample,
    SloOutcome,
    TimeSeries,
)
from rocminfra.report.summary import (
    Alternative,
    BreakEven,
    Economics,
    HostReport,
    Knee,
    ProvenanceItem,
    Report,
    SloSummary,
)

MODEL = "Qwen/Qwen2-VL-72B-Instruct"
RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
BAD = "09-constant-0.70"
REPEATED = "05-constant-0.30"
KNEE = "08-constant-0.60"
SATURATION = "02-throughput"
REASON = "31 of 62 requests failed: error rate 50.0 %, allowed 5.0 %"


def sweep() -> Report:
    """Ten points of a sweep on one host: nine valid, one invalid, one repeated."""
    points = [_point("01-synchronous", Load("synchronous", "synchronous"), 0.09, 0.0)]
    points.append(_point(SATURATION, Load("throughput", "throughput"), 0.84, 1.0))
    for number, rate in enumerate(RATES, start=3):
        load = Load(f"constant@{rate:.2f}", "constant", rate_per_s=rate)
        points.append(_point(f"{number:02}-constant-{rate:.2f}", load, rate, rate / 0.84))
    host = HostReport(
        host="mi300x-1",
        verdict="Serves up to 0.60 requests/s with TTFT p95 under 4 s; $0.21 a million tokens at "
        "saturation; valid: 9 of 10 points.",
        is_valid=True,
        valid=9,
        total=10,
        scenario="synthetic_sweep",
        provenance=(
            ProvenanceItem("Model", MODEL),
            ProvenanceItem("GPU", "1 × AMD Instinct MI300X"),
            ProvenanceItem("Engine", "vLLM 0.20.1"),
            ProvenanceItem("Load generator", "GuideLLM 0.8.1, on the same host"),
            ProvenanceItem("Kernel", "5.15.0-139-generic"),
        ),
        repeat=(
            "rocminfra apply -i hosts.yaml",
            "rocminfra bench --scenario synthetic_sweep -i hosts.yaml",
        ),
        points=tuple(points),
        warnings=("The load generator ran on the same host as the engine, and took its CPU.",),
        knee=Knee(KNEE, "Knee: beyond constant@0.60 latency doubles for 12 % more throughput."),
        saturation=SATURATION,
        slo=SloSummary(
            (("ttft_p95", 4.0), ("itl_p95", 0.1)),
            KNEE,
            "TTFT p95 ≤ 4 s and ITL p95 ≤ 100 ms: met up to constant@0.60.",
        ),
        economics=Economics(
            1.99,
            SATURATION,
            points[1].cost,
            "All tokens include those of unfinished requests; completed ones do not.",
            (
                Alternative(
                    *("2 × A100-80", 6.0, 8.0, 7_900.0, 10_500.0, 3.0, 4.0),
                    known=("146.81 GB of weights leave 13 GB of 160 for the KV cache.",),
                    assumed=("Its throughput: nobody measured it.",),
                ),
            ),
            (BreakEven("2 × A100-80 at $6.00 an hour", 0.33),),
        ),
        itl_floor_s=0.0277,
        itl_floor_source="Floor of ITL: 146.81 GB of weights, read once at 5.3 TB/s.",
    )
    return Report("20260513T101500Z", host.verdict, True, (host,), "2026-05-13T10:15:00Z")


def bad() -> Report:
    """An engine that failed half of its requests: nothing of it may look like a result."""
    report = sweep()
    host = report.hosts[0]
    points = tuple(
        dataclasses.replace(
            point,
            outcome="invalid",
            reasons=(REASON,),
            cost=None,
            energy=None,
            slo=None,
            predicted=None,
        )
        for point in host.points
    )
    verdict = "Invalid: 0 of 10 points are valid. No figure of this run may be used."
    host = dataclasses.replace(
        *(host,),
        verdict=verdict,
        is_valid=False,
        valid=0,
        points=points,
        knee=None,
        saturation=None,
        slo=None,
        economics=None,
    )
    return dataclasses.replace(report, verdict=verdict, is_valid=False, hosts=(host,))


def renamed(report: Report, model: str) -> Report:
    """The same with another text wherever a host's text goes."""
    host = report.hosts[0]
    points = tuple(
        dataclasses.replace(
            point,
            load=dataclasses.replace(point.load, label=f"{point.load.label} {model}"),
            reasons=tuple(f"{reason} {model}" for reason in point.reasons),
        )
        # The invalid one and the repeated one are among them.
        for point in host.points
        if point.name in (SATURATION, REPEATED, KNEE, BAD)
    )
    host = dataclasses.replace(
        *(host,),
        host=model,
        scenario=model,
        verdict=f"{host.verdict} {model}",
        points=points,
        warnings=(model,),
        repeat=(model,),
        provenance=(ProvenanceItem("Model", model),),
    )
    return dataclasses.replace(report, verdict=host.verdict, hosts=(host,))


def _point(name: str, load: Load, rate: float, busy: float) -> PointReport:
    tokens = rate * 9_216
    ttft = 1.2 / max(0.1, 1.05 - busy)
    itl = 0.0396 + 0.0272 * busy
    latency = ttft + 1_023 * itl
    is_bad = name == BAD
    figures = Figures(
        completed=round(rate * 280),
        errored=31 if is_bad else 0,
        incomplete=round(8 * busy),
        duration_s=280.0,
        requests_per_s=rate,
        tokens_per_s=tokens * 1.02,
        completed_tokens_per_s=tokens,
        output_tokens_per_s=rate * 1_024,
        ttft_s=Percentiles(ttft, ttft * 1.4, ttft * 1.7),
        itl_s=Percentiles(itl, itl * 1.08, itl * 1.3),
        latency_s=Percentiles(latency, latency * 1.07, latency * 1.12),
        kv_usage_max=0.08 + 0.9 * busy,
    )
    return PointReport(
        name=name,
        load=load,
        outcome="invalid" if is_bad else "valid",
        reasons=(REASON,) if is_bad else (),
        attempts=(
            AttemptSummary(1, "hung", "GuideLLM hung after its load had ended", 612.0),
            AttemptSummary(2, "done", None, 312.0),
        )
        if name == REPEATED
        else (AttemptSummary(1, "done", None, 312.0),),
        figures=figures,
        cost=None
        if is_bad
        else Cost(
            1.99 / (tokens * 1.02 * 3600) * 1e6,
            1.99 / (rate * 1_024 * 3600) * 1e6,
            1.99 / (tokens * 3600) * 1e6,
            rate * 3600 / 1.99,
        ),
        energy=None if is_bad else Energy(650 * 280.0, 650 / tokens, "power samples"),
        slo=None
        if is_bad
        else SloOutcome(
            busy < 0.75, rate * (1 if busy < 0.75 else 0.4), 1.0 if busy < 0.75 else 0.4
        ),
        predicted=Predicted(rate, tokens, ttft * 1.06, itl * 0.95),
        started=1_778_667_300.0 + 300 * int(name[:2]),
        sampled=60,
        requests_total=200,
        phases=(
            Phase("queue", 0.2 * busy**2 * 40, None, None, 200),
            Phase("prefill", 1.1, 1.0, 1.4, 200),
            Phase("decode", 1_023 * itl, 40.0, 60.0, 200),
        ),
        timeline=_timeline(busy),
        requests=tuple(
            RequestSample(
                4.0 * number,
                ttft * (0.7 + 0.6 * ((number * 7) % 60) / 60),
                itl * (0.97 + 0.06 * ((number * 11) % 60) / 60),
                latency * (0.97 + 0.06 * ((number * 13) % 60) / 60),
                8_211,
                1_024,
            )
            for number in range(60)
        ),
    )


def _timeline(busy: float) -> TimeSeries:
    engine = tuple(
        Moment(
            float(at),
            kv_usage=min(0.995, (0.08 + 0.9 * busy) * min(1, at / 40)) if at < 290 else 0.0,
            running=float(min(12, round(1 + 11 * busy * min(1, at / 40)))) if at < 290 else 0.0,
            waiting=float(max(0, round(20 * (busy - 0.8) * 5 * min(1, at / 60)))),
            preemptions=float(int(at / 60)) if busy > 0.9 else 0.0,
        )
        for at in range(300)
    )
    gpu = tuple(
        Moment(
            float(at),
            power_w=140 + 540 * min(1, at / 10) * (0.8 + 0.2 * math.sin(at / 9)),
            vram_mib=181_000.0,
        )
        for at in range(0, 300, 2)
    )
    return TimeSeries(engine, gpu, 10.0, 290.0)
