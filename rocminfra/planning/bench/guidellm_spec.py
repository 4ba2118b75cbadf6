"""GuideLLM's configuration for one point.

It is a configuration file instead of ``kind=…,key=value`` options: GuideLLM splits those at commas
and reads them as YAML, so a model called ``yes`` or a path with a comma would be misread.

Written for GuideLLM 0.8.1. Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocminfra.planning.bench import profiles, prompts
from rocminfra.planning.bench.job_record import ScenarioRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.prompts import Place

# GuideLLM's, for every attempt.
ARGUMENTS = ("run", "--config", "guidellm.json", "--disable-console")


def spec(
    point: Point,
    scenario: ScenarioRecord,
    target: str,
    model: str,
    tokenizer: str,
    place: Place,
    made: str | None = None,
) -> dict[str, Any]:
    """Configuration for ``guidellm run --config`` for one attempt at a point, as JSON values.

    + point: the point
    + scenario: the scenario
    + target: base address of the engine, such as ``http://127.0.0.1:8000/v1``
    + model: name under which the engine serves the model
    + tokenizer: its tokenizer's folder or repository
    + place: of the attempt among all of its run, which determines its prompts
    + made: path of the data set that was made for the scenario, or None

    Outputs are relative to GuideLLM's working folder.
    """
    profile = profiles.profile(point, scenario.stages)
    if scenario.warmup_seconds:
        # `mode` matters: GuideLLM reads a bare number below 1 as a fraction.
        profile["warmup"] = {"value": scenario.warmup_seconds, "mode": "duration"}
    constraints: list[dict[str, Any]] = [{"kind": "max_duration", "seconds": scenario.max_seconds}]
    if scenario.max_requests is not None:
        constraints.append({"kind": "max_requests", "count": scenario.max_requests})
    data = prompts.guidellm_data(scenario.data, place, made)
    if point.burst_requests is not None:
        source = {"kind": "json_file", "path": profiles.TRACE}
        data = {"kind": "trace_synthetic", "source": source}
    # Every request's numbers and no text; `requests.jsonl` is made of them, and the report is then
    # cut to the scenario's sample_size. None would keep all prompts in memory.
    metrics: dict[str, Any] = {"kind": "generative", "sample_size": 0}
    if scenario.slo:
        metrics["slo"] = dict(scenario.slo)
    return {
        "spec": {
            "backend": {"kind": "openai_http", "target": target, "model": model},
            "profile": profile,
            "constraints": constraints,
            "tokenizer": {"kind": "hf_auto", "model": tokenizer},
            "data": [data],
            "seed": {"kind": "static", "value": prompts.seed(scenario.seed, place)},
            "metrics": metrics,
            "outputs": [
                {"kind": "json", "path": "report.json"},
                {"kind": "html", "path": "report.html"},
            ],
        },
        "metadata": {"labels": {"point": point.name, "scenario": scenario.name}},
    }


def command(python: str, launcher: str) -> Sequence[str]:
    """Command line of one attempt, to be started in the point's folder.

    + python: the Python of GuideLLM's environment
    + launcher: path of ``guidellm_launcher.py``
    """
    # Isolated, unlike GuideLLM's own script: it ignores the user's environment and site packages.
    return (python, "-I", launcher, *ARGUMENTS)
