"""What GuideLLM is told to do for one point.

A configuration file and not ``kind=…,key=value`` options: those are split at commas and read as
YAML, so a model called ``yes`` or a path with a comma would arrive as something else.

Written against GuideLLM 0.8.1. Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.records import ScenarioRecord


def spec(
    point: Point, scenario: ScenarioRecord, target: str, model: str, tokenizer: str, seed: int
) -> dict[str, Any]:
    """Configuration of ``guidellm run --config`` for one attempt at a point, as JSON values.

    + point: the point
    + scenario: the scenario
    + target: base address of the engine, such as ``http://127.0.0.1:8000/v1``
    + model: name under which the engine serves the model
    + tokenizer: folder or repository of its tokenizer
    + seed: of the attempt, from which its prompts follow

    Outputs are relative to the folder in which GuideLLM is started.
    """
    profile: dict[str, Any] = {"kind": point.kind}
    if point.streams is not None:
        profile["streams"] = [point.streams]
    if point.rate is not None:
        profile["rate"] = [point.rate]
    if point.max_concurrency is not None:
        profile["max_concurrency"] = point.max_concurrency
    if scenario.warmup_seconds:
        # `mode` matters: a bare number below 1 is read as a part of the whole.
        profile["warmup"] = {"value": scenario.warmup_seconds, "mode": "duration"}
    constraints: list[dict[str, Any]] = [{"kind": "max_duration", "seconds": scenario.max_seconds}]
    if scenario.max_requests is not None:
        constraints.append({"kind": "max_requests", "count": scenario.max_requests})
    return {
        "spec": {
            "backend": {"kind": "openai_http", "target": target, "model": model},
            "profile": profile,
            "constraints": constraints,
            "tokenizer": {"kind": "hf_auto", "model": tokenizer},
            "data": [dict(scenario.data)],
            "seed": {"kind": "static", "value": seed},
            "metrics": {"kind": "generative", "sample_size": scenario.sample_size},
            "outputs": [
                {"kind": "json", "path": "report.json"},
                {"kind": "html", "path": "report.html"},
            ],
        },
        "metadata": {"labels": {"point": point.name, "scenario": scenario.name}},
    }


def command(python: str, launcher: str) -> Sequence[str]:
    """Arguments of the process of one attempt, started in the point's folder.

    + python: the Python of GuideLLM's environment
    + launcher: path of our program that starts GuideLLM
    """
    # Isolated, as GuideLLM's own script is not: nothing of ours or of the user's gets in its way.
    run = ("run", "--config", "guidellm.json", "--disable-console")
    return (python, "-I", launcher, *run)
