"""How the scratch file system must be mounted, and the steps to get there.

The live mount is compared as a whole record: device number, root, path, type and options. fstab is
correct when exactly one line has the mount point, with the UUID and the options.
"""

from __future__ import annotations

from enum import Enum

from rocminfra.planning.disk.observation import (
    Desired,
    Device,
    FstabLine,
    Mount,
    MountPoint,
    Observed,
)

# Options for the readers of fstab; the kernel never shows them (mount(8), systemd.mount(5)).
_FSTAB_ONLY = frozenset(
    ("auto", "noauto", "defaults", "nofail", "_netdev", "user", "nouser", "users", "owner", "group")
)
# Options that show as the absence of their opposite (proc(5), mount(8)).
_SHOWN_AS_ABSENCE = {
    "atime": "noatime",
    "dev": "nodev",
    "exec": "noexec",
    "suid": "nosuid",
    "diratime": "nodiratime",
    "async": "sync",
    "nolazytime": "lazytime",
    "norelatime": "relatime",
    "nostrictatime": "strictatime",
    "strictatime": "relatime",
    "nodiscard": "discard",
    "noquota": "usrquota",
}
# Options that break programs on the disk unless explicitly requested.
_UNWANTED = {"ro": "rw", "noexec": "exec", "nosuid": "suid", "nodev": "dev", "sync": "async"}
# Options that imply some of those (mount(8)).
_IMPLYING = frozenset(("user", "users", "owner", "group"))


class Step(Enum):
    """One step, in this order."""

    MOUNT_POINT = "make the mount point, unwritable while nothing is mounted on it"
    BELOW = "make the folder below the mount unwritable"
    FSTAB = "write the line in /etc/fstab"
    MOUNT = "mount it"
    REMOUNT = "mount it again with the right options"
    OWNER = "give the mounted directory to its owner"
    SENTINEL = "write the sentinel file"


MOUNT_STEPS = (Step.MOUNT_POINT, Step.FSTAB, Step.MOUNT, Step.OWNER, Step.SENTINEL)


def missing_steps(
    observed: Observed, desired: Desired, device: Device, uuid: str
) -> tuple[Step, ...]:
    """The steps until ``device``, which has file system ``uuid``, is mounted correctly."""
    place = observed.mount_point
    live = mounts_at(observed, desired.mount_point)
    steps: list[Step] = []
    if not live and not is_protected(place):
        steps.append(Step.MOUNT_POINT)
    if not fstab_is_right(observed.fstab, desired, uuid):
        steps.append(Step.FSTAB)
    if not live:
        steps += [Step.MOUNT, Step.OWNER, Step.SENTINEL]
        return tuple(steps)
    if missing_options(live[-1].options, desired.mount_options):
        steps.append(Step.REMOUNT)
    # A mount by someone else lacks this. The sentinel is written last, so it shows that we did it.
    if (place.sentinel or "").strip() != uuid:
        steps.insert(0, Step.BELOW)
    if place.owner != desired.owner:
        steps.append(Step.OWNER)
    if (place.sentinel or "").strip() != uuid:
        steps.append(Step.SENTINEL)
    return tuple(steps)


def mounts_at(observed: Observed, target: str) -> tuple[Mount, ...]:
    """Mounts at ``target``; the last one is visible."""
    return tuple(m for m in observed.mounts if m.target == target)


def is_protected(place: MountPoint) -> bool:
    """Whether the empty mount point is unwritable; ``immutable`` is None if not supported."""
    return place.exists and place.mode == 0o555 and place.immutable is not False


def fstab_lines(fstab: tuple[FstabLine, ...], target: str) -> tuple[FstabLine, ...]:
    """The lines for one mount point."""
    return tuple(line for line in fstab if line.target == target)


def fstab_is_right(fstab: tuple[FstabLine, ...], desired: Desired, uuid: str) -> bool:
    """Whether there is exactly one line, and it is correct."""
    lines = fstab_lines(fstab, desired.mount_point)
    return (
        len(lines) == 1
        and lines[0].source == f"UUID={uuid}"
        and lines[0].kind == "xfs"
        and lines[0].options == desired.mount_options
    )


def replaced_lines(observed: Observed, desired: Desired, uuid: str) -> tuple[str, ...]:
    """The lines that the line for ``uuid`` replaces in fstab, as reasons for a plan."""
    if fstab_is_right(observed.fstab, desired, uuid):
        return ()
    return tuple(
        f"replaces in fstab: {line.source} {line.target} {line.kind} {','.join(line.options)}"
        for line in fstab_lines(observed.fstab, desired.mount_point)
    )


def fstab_uuid(observed: Observed, target: str) -> str | None:
    """The UUID of the XFS that fstab expects at ``target``; None unless there is exactly one."""
    uuids = {
        line.source.removeprefix("UUID=").strip('"').lower()
        for line in fstab_lines(observed.fstab, target)
        if line.source.startswith("UUID=") and line.kind == "xfs"
    }
    return uuids.pop() if len(uuids) == 1 else None


def missing_options(live: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Options to add to the live mount: missing ones, and the opposites of unwanted ones.

    + live: options of the mount and of its file system from mountinfo
    + wanted: options in fstab's form
    """
    shown = {_plain(option) for option in live}
    missing = [option for option in wanted if not _has(shown, option)]
    unwanted = {} if _IMPLYING & set(wanted) else _UNWANTED
    missing += [
        opposite
        for option, opposite in unwanted.items()
        if option in shown and option not in wanted and opposite not in missing
    ]
    return tuple(missing)


def _has(shown: set[str], option: str) -> bool:
    if option in _FSTAB_ONLY or option.startswith(("x-", "comment=")):
        return True
    if option in _SHOWN_AS_ABSENCE:
        return _SHOWN_AS_ABSENCE[option] not in shown
    return _plain(option) in shown


def _plain(option: str) -> str:
    """Normalise sizes: ``allocsize=64m`` and ``allocsize=65536k`` are equal."""
    key, equals, value = option.partition("=")
    factor = {"k": 1024, "m": 1024**2, "g": 1024**3}.get(value[-1:].lower())
    if not equals or factor is None or not value[:-1].isdigit():
        return option
    return f"{key}={int(value[:-1]) * factor}"
