"""GuideLLM against the engine of this host; results come back to ``bench.results_dir``."""

from pyinfra import host

from rocminfra.bench.job import make_job
from rocminfra.host_paths import guidellm_environment
from rocminfra.operations import bench, bench_start, guidellm, host_files, prerequisites
from rocminfra.operations.host_settings import current
from rocminfra.operations.weight_reading import bandwidths, step_bytes

settings = current()
scenario = bench.scenario(settings.bench.scenario)
run_id = bench.run_id(settings.bench.run)
job = make_job(run_id, host.name, scenario, settings, step_bytes(settings), bandwidths())
resumes = settings.bench.run is not None
environment = {
    "path": guidellm_environment(settings.bench.guidellm_version),
    "version": settings.bench.guidellm_version,
    "torch_version": settings.bench.torch_version,
}

prerequisites.tell_release()
guidellm.gate(**environment)
guidellm.gate_wheels(**environment, wheels=settings.bench.wheels)
bench_start.gate(
    job=job,
    results_dir=settings.bench.results_dir,
    environment=environment["path"],
    contents=guidellm.contents(environment["version"], environment["torch_version"]),
    address=settings.vllm.asked_at,
    port=settings.vllm.port,
    resumes=resumes,
)

guidellm.environment(
    name=f"Install GuideLLM {settings.bench.guidellm_version}",
    **environment,
    torch_index_url=settings.bench.torch_index_url,
    wheels=settings.bench.wheels,
)

host_files.present(name="Install the benchmark programs", files=bench.program_files())

bench.run(
    name=f"Run benchmark {scenario.name} as {run_id}",
    job=job,
    results_dir=settings.bench.results_dir,
    resumes=resumes,
)
