"""Start pulling the engine's image; the engine's own task waits for it."""

from rocminfra.operations import engine, prerequisites
from rocminfra.operations.host_settings import current

settings = current()
prerequisites.tell_release()
prerequisites.gate(mount_point=settings.storage.mount_point, docker=True)
engine.image_started(
    name=f"Start pulling {settings.engine.image}",
    reference=settings.engine.image,
    archive=settings.engine.image_archive,
)
