"""Before a benchmark's first change: what would make it fail minutes later is refused in seconds.

.. code:: python

    from rocminfra.operations import bench_start

    bench_start.gate(job, results_dir="results", environment="guidellm[vision]==0.8.1 …")
"""

from __future__ import annotations

import time

from pyinfra import host, state

from rocminfra.bench.home import look_at_home
from rocminfra.bench.job import Job
from rocminfra.facts.bench_look import BenchLook
from rocminfra.operations.host_failures import exclude
from rocminfra.planning.bench_start import Wanted, refusal, results_bytes

UNIT = "vllm.service"


def gate(
    job: Job,
    results_dir: str,
    environment: str,
    contents: str | None,
    address: str,
    port: int,
    resumes: bool = False,
    unit: str = UNIT,
) -> None:
    """Take the host out of the run, before any change, when its benchmark cannot succeed.

    + job: what is to run (:func:`rocminfra.bench.job.make_job`)
    + results_dir: folder of all runs on the operator's machine
    + environment: folder of GuideLLM's environment
    + contents: what its marker says when it is complete; None when GuideLLM runs on another host
    + address, port: where the engine is asked, on the host itself
    + resumes: whether ``job.run`` is an earlier run
    + unit: the engine's systemd unit

    For a task's top level, before any operation.
    """
    scenario = job.scenario
    points = len(scenario.planned)
    wanted = Wanted(
        host=host.name,
        run=job.run,
        resumes=resumes,
        model=job.record.model,
        points=points,
        request_tokens=scenario.request_tokens,
        environment=contents,
        results_bytes=results_bytes(points, scenario.sample_size, scenario.request_tokens),
        unit=unit,
    )
    look = host.get_fact(
        BenchLook,
        runs=job.runs_folder,
        run=job.run,
        environment=environment,
        address=address,
        port=port,
        model=job.record.model,
        unit=unit,
        asked_at=time.time(),
        files=[] if contents is None else list(scenario.host_files),
    )
    failure = refusal(look, look_at_home(results_dir, job.run), wanted)
    if failure is not None:
        exclude(state, host, failure)
