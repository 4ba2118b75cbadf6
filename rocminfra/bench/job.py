"""The job that the program on the host is given: everything about a run, as JSON."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from rocminfra import host_paths
from rocminfra.bench.scenario import Scenario
from rocminfra.bench.software import software
from rocminfra.planning.bench.job_record import JobRecord, LoadRecord
from rocminfra.planning.bench.records import as_json
from rocminfra.settings import Settings
from rocminfra.settings.addresses import in_url

# Of the systemd unit that a run has on its host; the run's id follows.
UNIT_PREFIX = "rocminfra-bench-"


@dataclass(frozen=True)
class Job:
    """A run on one host.

    + run: id of the run
    + host: name of the host
    + scenario: what is measured
    + record: what the host is told
    + runs_folder: folder of all runs on the host
    """

    run: str
    host: str
    scenario: Scenario
    record: JobRecord
    runs_folder: str = host_paths.RUNS

    @property
    def text(self) -> str:
        """Contents of ``job.json``; the same job gives the same text."""
        return json.dumps(as_json(self.record), indent=2, sort_keys=True) + "\n"

    @property
    def folder(self) -> str:
        """The run's folder on the host."""
        return f"{self.runs_folder}/{self.run}"

    @property
    def unit(self) -> str:
        """The systemd unit that it runs in."""
        return f"{UNIT_PREFIX}{self.run}.service"


def make_job(
    run: str,
    host: str,
    scenario: Scenario,
    settings: Settings,
    step_bytes: int | None = None,
    gpu_bandwidths: Mapping[str, float] | None = None,
) -> Job:
    """The job for one host.

    + run: id of the run
    + host: name of the host
    + scenario: what is measured
    + settings: the host's settings
    + step_bytes, gpu_bandwidths: what bounds the time between tokens from below, see
      :class:`~rocminfra.planning.bench.job_record.JobRecord`
    """
    base = f"http://{in_url(settings.vllm.asked_at)}:{settings.vllm.port}"
    environment = host_paths.guidellm_environment(settings.bench.guidellm_version)
    return Job(
        run=run,
        host=host,
        scenario=scenario,
        record=JobRecord(
            run=run,
            host=host,
            scenario=scenario.record,
            guidellm_python=f"{environment}/bin/python",
            guidellm_version=settings.bench.guidellm_version,
            target=f"{base}/v1",
            metrics_url=f"{base}/metrics",
            model=settings.model.name,
            tokenizer=settings.model_argument,
            environment=_environment(scenario, settings),
            usd_per_hour=settings.cost.usd_per_hour,
            step_bytes=step_bytes,
            gpu_bandwidths=gpu_bandwidths,
            container=settings.engine.container_name,
            model_revision=settings.model.revision,
            software=software(settings),
            datasets=host_paths.DATASETS,
            load_generator=_load_generator(run, settings),
        ),
    )


def new_run_id(now: datetime | None = None) -> str:
    """Name of a run that begins now: its UTC time and a suffix, ``20260513T101500Z-3fa9c1``.

    Two runs may begin in the same second, on two machines that know nothing of each other.
    """
    now = datetime.now(timezone.utc) if now is None else now
    return f"{now.astimezone(timezone.utc).strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(3)}"


def _load_generator(run: str, settings: Settings) -> LoadRecord | None:
    name = settings.bench.load_generator
    if name is None:
        return None
    way = "SSH tunnel" if settings.bench.engine_address is None else "private address"
    return LoadRecord(name, way, f"{host_paths.LOAD_LINKS}/{run}")


def _environment(scenario: Scenario, settings: Settings) -> dict[str, str]:
    environment = {
        "HF_HOME": settings.huggingface.home,
        "GUIDELLM__MAX_WORKER_PROCESSES": str(scenario.worker_processes),
        # One process imports for all workers, instead of each for itself.
        "GUIDELLM__MP_CONTEXT_TYPE": "forkserver",
        # Nobody watches, and a terminal's width would only cut the log.
        "NO_COLOR": "1",
    }
    if not scenario.needs_hub:
        # The tokenizer is a folder or in the cache already: no request to the hub per point.
        environment["HF_HUB_OFFLINE"] = "1"
    elif settings.huggingface.endpoint is not None:
        environment["HF_ENDPOINT"] = settings.huggingface.endpoint
    return environment
