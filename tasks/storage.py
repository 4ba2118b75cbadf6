"""The scratch disk: XFS, in fstab by UUID, mounted; refused where it may hold something."""

from rocminfra.operations import disk, prerequisites
from rocminfra.operations.host_settings import current

settings = current()
storage = settings.storage
arguments = {
    "device": storage.device,
    "mount_point": storage.mount_point,
    "label": storage.label,
    "mount_options": storage.mount_options,
    "owner": storage.owner,
    "expected_size_gib": storage.expected_size_gib,
    "wipe": settings.wipe,
}

prerequisites.tell_release()
disk.gate(**arguments)
disk.scratch(name="Prepare the scratch disk", **arguments)
prerequisites.provided(prerequisites.SCRATCH)
