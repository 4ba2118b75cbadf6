"""The engine's image begins to come now; it is waited for when the engine needs it."""

from rocminfra.operations import engine, prerequisites
from rocminfra.operations.host_settings import current

settings = current()
prerequisites.tell_release()
prerequisites.gate(mount_point=settings.storage.mount_point, docker=True)
engine.image_started(
    name=f"Image {settings.engine.image} begins to come",
    reference=settings.engine.image,
    archive=settings.engine.image_archive,
)
