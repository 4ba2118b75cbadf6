"""The request for a benchmark: ``job.json``.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.bench.points import Stage
from rocminfra.planning.bench.records import VERSION


@dataclass(frozen=True)
class ScenarioRecord:
    """The scenario in ``job.json``; see :class:`rocminfra.bench.scenario.Scenario`."""

    name: str
    stages: tuple[Stage, ...]
    data: Mapping[str, Any]
    max_seconds: float
    warmup_seconds: float
    overhead_seconds: float
    min_completed: int
    max_error_rate: float
    sample_size: int
    seed: int
    worker_processes: int
    description: str = ""
    max_requests: int | None = None
    slo: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LoadRecord:
    """The host that GuideLLM runs on, when it is not the engine's own.

    + host: its name
    + way: how it reaches the engine: ``SSH tunnel`` or ``private address``
    + link: folder on the engine's host with the run's key and the way to that host
    """

    host: str
    way: str
    link: str


@dataclass(frozen=True)
class JobRecord:
    """``job.json``: the complete input of the program on the host.

    + run: id of the run
    + host: name of the host
    + guidellm_python: the Python of GuideLLM's environment
    + target: base address of the engine, such as ``http://127.0.0.1:8000/v1``
    + metrics_url: address of the engine's metrics
    + model: name under which the engine serves it
    + tokenizer: its folder or repository
    + environment: variables of GuideLLM's process, without secrets
    + usd_per_hour: the host's price
    + step_bytes: weights that every step of the model's decoder reads; None when unknown
    + gpu_bandwidths: published memory bandwidth in bytes a second, by product name
    + container: name of the engine's container on this host; None when it runs elsewhere
    + model_revision: commit, tag or branch of the model; None for ``main``
    + software: ``version`` and ``commit`` of rocminfra, and ``settings_sha256``
    + datasets: folder of data sets that are made on the host
    + load_generator: the host that GuideLLM runs on; None for this one
    """

    run: str
    host: str
    scenario: ScenarioRecord
    guidellm_python: str
    guidellm_version: str
    target: str
    metrics_url: str
    model: str
    tokenizer: str
    environment: Mapping[str, str]
    usd_per_hour: float | None = None
    step_bytes: float | None = None
    gpu_bandwidths: Mapping[str, Any] | None = None
    container: str | None = None
    model_revision: str | None = None
    software: Mapping[str, Any] | None = None
    datasets: str = ""
    load_generator: LoadRecord | None = None
    version: int = VERSION
