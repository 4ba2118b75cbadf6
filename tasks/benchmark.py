"""GuideLLM against the engine of this host; results come back to ``bench.results_dir``.

On a host that others name as their ``bench.load_generator``, only what their runs need is
installed.
"""

from pyinfra import host

from rocminfra.bench.job import make_job
from rocminfra.host_paths import guidellm_environment
from rocminfra.operations import (
    bench,
    bench_start,
    guidellm,
    host_files,
    load_generator,
    prerequisites,
)
from rocminfra.operations.host_settings import current
from rocminfra.operations.weight_reading import bandwidths, step_bytes

settings = current()
users = load_generator.users()
load = None if users else load_generator.of(settings)
# The engine's host says which GuideLLM sends its load.
environments = {
    (
        one.bench.guidellm_version,
        one.bench.torch_version,
        one.bench.torch_index_url,
        one.bench.wheels,
    ): None
    for one in (users or (settings,))
}
prerequisites.tell_release()
load_generator.tell_if_unused()
if load is None:
    for version, torch_version, _, wheels in environments:
        guidellm.gate(guidellm_environment(version), version, torch_version)
        guidellm.gate_wheels(guidellm_environment(version), version, torch_version, wheels)

if not users:
    scenario = bench.scenario(settings.bench.scenario)
    run_id = bench.run_id(settings.bench.run)
    job = make_job(run_id, host.name, scenario, settings, step_bytes(settings), bandwidths())
    resumes = settings.bench.run is not None
    if load is not None:
        load_generator.gate(load, scenario.host_files)
    bench_start.gate(
        job=job,
        results_dir=settings.bench.results_dir,
        environment=guidellm_environment(settings.bench.guidellm_version),
        contents=None
        if load is not None
        else guidellm.contents(settings.bench.guidellm_version, settings.bench.torch_version),
        address=settings.vllm.asked_at,
        port=settings.vllm.port,
        resumes=resumes,
    )

if load is None:
    for version, torch_version, torch_index_url, wheels in environments:
        guidellm.environment(
            name=f"Install GuideLLM {version}",
            path=guidellm_environment(version),
            version=version,
            torch_version=torch_version,
            torch_index_url=torch_index_url,
            wheels=wheels,
        )

host_files.present(name="Install the benchmark programs", files=bench.program_files())

if not users:
    bench.run(
        name=f"Run benchmark {scenario.name} as {run_id}",
        job=job,
        results_dir=settings.bench.results_dir,
        resumes=resumes,
        load=load,
    )
