"""Arguments of ``disk.scratch`` that a refusal may ask to change."""

from __future__ import annotations

from rocminfra.failure import Argument

DEVICE = Argument("disk", "device")
MOUNT_POINT = Argument("disk", "mount_point")
LABEL = Argument("disk", "label")
EXPECTED_SIZE = Argument("disk", "expected_size_gib")
