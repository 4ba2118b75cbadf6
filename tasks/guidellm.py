"""Begin to install GuideLLM when a benchmark follows (``bench.prepare``); its task waits for it."""

from rocminfra.host_paths import guidellm_environment
from rocminfra.operations import guidellm, prerequisites
from rocminfra.operations.host_settings import current

settings = current()
prerequisites.tell_release()
if settings.bench.prepare and settings.bench.load_generator is None:
    guidellm.gate_wheels(
        path=guidellm_environment(settings.bench.guidellm_version),
        version=settings.bench.guidellm_version,
        torch_version=settings.bench.torch_version,
        wheels=settings.bench.wheels,
    )
    guidellm.environment_started(
        name=f"Begin to install GuideLLM {settings.bench.guidellm_version}",
        path=guidellm_environment(settings.bench.guidellm_version),
        version=settings.bench.guidellm_version,
        torch_version=settings.bench.torch_version,
        torch_index_url=settings.bench.torch_index_url,
        wheels=settings.bench.wheels,
    )
