"""Caches on the scratch disk, for every way a program may start, and the model in them."""

from rocminfra.host_paths import PROFILE, SYSTEMD_ENVIRONMENT, USER_ENVIRONMENT
from rocminfra.operations import host_files, hub_model, model_folder, prerequisites, system
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import current
from rocminfra.planning.engine_command import cache_environment
from rocminfra.rendering import render
from rocminfra.settings.hub_token import hub_token

settings = current()
environment = cache_environment(settings)
prerequisites.tell_release()
prerequisites.gate(mount_point=settings.storage.mount_point)
if settings.model.is_local_folder:
    model_folder.gate(settings.model.source, settings.vllm.loads_files)

host_files.directories(
    name="Create the cache folders",
    paths=sorted({*environment.values(), settings.caches_dir, settings.models_dir}),
    user=settings.storage.owner,
    group=settings.storage.owner,
)

host_files.present(
    name="Set cache paths for login shells and user services",
    files=[
        HostFile(PROFILE, render("profile.sh.j2", {"environment": environment})),
        HostFile(
            USER_ENVIRONMENT,
            render("user-environment.conf.j2", {"environment": environment}),
        ),
    ],
)

system.service_environment(
    name="Set cache paths for system services",
    environment=environment,
    file=HostFile(
        SYSTEMD_ENVIRONMENT,
        render("systemd-environment.conf.j2", {"environment": environment}),
    ),
)

if settings.model.is_local_folder:
    hub_model.none_wanted(name="End a download that is no longer wanted")
    model_folder.copied(
        name=f"Copy model {settings.model.name}",
        source=settings.model.source,
        destination=settings.model_argument,
        needs_weights=settings.vllm.loads_files,
    )
else:
    hub_model.fetched(
        name=f"Download model {settings.model.source}",
        repository=settings.model.source,
        home=settings.huggingface.home,
        revision=settings.model.revision,
        endpoint=settings.huggingface.endpoint,
        token=lambda: hub_token(settings.huggingface),
    )
