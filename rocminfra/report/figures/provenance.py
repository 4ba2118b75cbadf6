"""What ran on what, how to repeat it, and the bandwidth floor of its inter-token latency."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from rocminfra.planning.bench.job_record import JobRecord, ScenarioRecord
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.planning.bench.validity import floor_ms
from rocminfra.planning.engine.gpus import GPUS, Gpu
from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.reference import REFERENCE_CONFIG, REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.report.figures import measured_system
from rocminfra.report.summary import ProvenanceItem

_BANDWIDTHS = {gpu.name: gpu.bandwidth_bytes_per_s for gpu in GPUS.values()}
# Of the engine's own configuration, what decides on its figures; by label of vLLM's
# cache_config_info.
_CONFIGURATION = {
    "cache_dtype": "KV cache dtype",
    "block_size": "KV block size",
    "num_gpu_blocks": "KV blocks",
    "gpu_memory_utilization": "GPU memory utilization",
    "enable_prefix_caching": "Prefix caching",
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def box(job: JobRecord | None, run: RunRecord | None) -> tuple[ProvenanceItem, ...]:
    """The provenance box; what nobody recorded is not in it."""
    found: list[tuple[str, str | None]] = []
    if run is not None:
        found += [
            ("GPU", ", ".join(counted_gpus(run)) or "unknown"),
            ("GPU driver", _joined(gpu.get("driver") for gpu in run.provenance.gpus)),
            ("Engine", f"vLLM {run.provenance.engine}" if run.provenance.engine else "unknown"),
        ]
        settings = _configuration(run)
        found += [(name, settings.get(label)) for label, name in _CONFIGURATION.items()]
    if job is not None:
        found += [
            ("Model", job.model),
            ("Scenario", job.scenario.name),
            ("Requests", _data(job.scenario)),
            ("Time of a point", _timing(job.scenario)),
            ("Seed", str(job.scenario.seed)),
            ("Load generator", _load_generator(job)),
            ("Asked at", _without_secrets(job.target)),
            ("Price", "not set" if job.usd_per_hour is None else f"${job.usd_per_hour:g} an hour"),
        ]
    if run is not None:
        cores = run.provenance.cores
        found += [
            ("Host", run.host),
            ("Kernel", f"{run.provenance.kernel} {run.provenance.machine}"),
            ("Cores", None if cores is None else str(cores)),
            ("Began", when(run.started)),
            ("Took", f"{run.ended - run.started:,.0f} s"),
            *measured_system.items(run.provenance),
        ]
    return tuple(ProvenanceItem(name, value) for name, value in found if value)


def repeat(job: JobRecord | None) -> tuple[str, ...]:
    """Whole commands that repeat a host's run."""
    if job is None:
        return ()
    scenario = shlex.quote(job.scenario.name)
    return (
        f"rocminfra bench --scenario {scenario} --limit {shlex.quote(job.host)}",
        "guidellm run --config guidellm.json  # in a point's folder: this point alone",
    )


def counted_gpus(run: RunRecord) -> list[str]:
    """The GPUs as they call themselves, such as ``2 x AMD Instinct MI300X``."""
    names = [str(gpu.get("name") or "unknown GPU") for gpu in run.provenance.gpus]
    return [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]


def known_gpu(run: RunRecord | None) -> Gpu | None:
    """The GPU, if its published figures are known; a stand-in's name is none of them."""
    if run is None or not run.provenance.gpus:
        return None
    names = {str(gpu.get("name") or "") for gpu in run.provenance.gpus}
    if len(names) != 1:
        return None
    # amd-smi adds to the product's name in guests: "AMD Instinct MI300X VF".
    words = names.pop().split()
    return next(
        (gpu for gpu in GPUS.values() if words[: len(gpu.name.split())] == gpu.name.split()), None
    )


def known_model(job: JobRecord | None) -> ModelSpec | None:
    """The model, if its shape is known without the hub: the reference run's."""
    if job is None or job.model != REFERENCE_NAME:
        return None
    return read_model(REFERENCE_CONFIG, REFERENCE_NAME)


def itl_floor(job: JobRecord | None, run: RunRecord | None) -> tuple[float | None, str]:
    """Seconds in which the GPUs can read a step's weights once, and how that was computed.

    No token of a dense model comes faster: every one needs all of the decoder's weights, read once
    for the whole batch. The bandwidths of all GPUs are added up, which is right for tensor
    parallelism and below the floor for anything else.
    """
    if run is None or not run.provenance.gpus:
        return None, "the GPU is not known"
    names = [gpu.get("name") for gpu in run.provenance.gpus]
    step = job.step_bytes if job is not None else None
    if step is None:
        spec = known_model(job)
        step = None if spec is None else float(spec.weights_bytes)
    if step is None:
        return None, f"the weights of {job.model if job else 'the model'} are not known"
    bandwidths = (job.gpu_bandwidths if job is not None else None) or _BANDWIDTHS
    floor = floor_ms(step, names, bandwidths)
    if floor is None:
        return None, f"the memory bandwidth of {', '.join(counted_gpus(run))} is not published"
    bandwidth = 1000 * step / (floor * len(names))
    return floor / 1000, (
        f"{step / 1e9:.2f} GB of weights that a step reads, at {len(names)} x "
        f"{bandwidth / 1e12:g} TB/s as published"
    )


def is_beside(job: JobRecord | None) -> bool:
    """Whether the load generator ran on the serving host itself."""
    if job is None or job.load_generator is not None:
        return False
    return urlsplit(job.target).hostname in _LOOPBACK


def when(at: float) -> str | None:
    """A Unix time in words, UTC."""
    try:
        return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return None


def _configuration(run: RunRecord) -> dict[str, str]:
    """What the engine said of itself at the first point that recorded it."""
    for point in run.points:
        found = point.engine.get("configuration")
        if isinstance(found, Mapping) and found:
            return {str(name): str(value) for name, value in found.items()}
    return {}


def _load_generator(job: JobRecord) -> str:
    load = job.load_generator
    where = "" if load is None else f" on {load.host} ({load.way})"
    return f"GuideLLM {job.guidellm_version}{where}"


def _data(scenario: ScenarioRecord) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in scenario.data.items())


def _short(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, sort_keys=True)
    return str(value)


def _timing(scenario: ScenarioRecord) -> str:
    text = f"{scenario.max_seconds:g} s, of which {scenario.warmup_seconds:g} s warm-up"
    if scenario.max_requests is not None:
        text += f", at most {scenario.max_requests} requests"
    return text


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _joined(values: Any) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value))
