"""The shell commands behind a decision about the scratch disk."""

from __future__ import annotations

import posixpath

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.fstab import fstab_line
from rocminfra.host.programs import source
from rocminfra.planning.disk.decide import Format, Mount
from rocminfra.planning.disk.mounting import Step, missing_options, mounts_at
from rocminfra.planning.disk.observation import SENTINEL, Desired, Observed

# With udev, a mount right after mkfs can miss the UUID; without it, there is nothing to wait for.
_SETTLE = "if [ -S /run/udev/control ]; then udevadm settle --timeout=60; fi"
# A unit generated from an older fstab can unmount a manual mount (systemd-fstab-generator(8)).
_RELOAD = "if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi"


def format_command(decision: Format, desired: Desired) -> StringCommand:
    """``mkfs.xfs`` behind a second probe: it runs only if the disk has not changed."""
    device = decision.device
    mkfs = ["mkfs.xfs", "-q", "-m", f"uuid={decision.uuid}", "-L", desired.label]
    if decision.token is None:
        # Without -f, mkfs.xfs itself refuses a disk on which libblkid finds a signature.
        command = [*mkfs, device.path]
    else:
        # A dry run of mkfs.xfs comes first: nothing is wiped for a file system that cannot be
        # created. wipefs runs without --force, so it opens the disk exclusively, too.
        script = 'disk=$1; shift; "$@" -N >/dev/null && wipefs --all "$disk" && exec "$@"'
        command = ["sh", "-c", script, "sh", device.path, *mkfs, "-f", device.path]
    looks = (source("disk_probe"), source("disk_content"))
    return StringCommand(
        _program("disk_guard", *looks, device.path, device.record, "--", *command),
        "&&",
        "{",
        _SETTLE + ";",
        "}",
    )


def step_command(
    step: Step, decision: Mount | Format, observed: Observed, desired: Desired
) -> StringCommand:
    """The command for one step."""
    place = QuoteString(desired.mount_point)
    options = ",".join(desired.mount_options)
    if step is Step.MOUNT_POINT:
        return _program("mount_point", desired.mount_point)
    if step is Step.BELOW:
        # A bind mount without its submounts shows the folder underneath; in a separate namespace it
        # is invisible to others.
        script = 'mount --make-rprivate / && mount --bind "$1" "$1" && shift && exec "$@"'
        parent = posixpath.dirname(desired.mount_point)
        program = ("python3", "-I", "-c", source("mount_point"), "--below", desired.mount_point)
        words = ("unshare", "--mount", "sh", "-c", script, "sh", parent, *program)
        return StringCommand(*map(QuoteString, words))
    if step is Step.FSTAB:
        line = fstab_line(decision.uuid, desired.mount_point, desired.mount_options)
        arguments = ("/etc/fstab", desired.mount_point, line, observed.fstab_sha256)
        return StringCommand(_program("fstab_entry", *arguments), "&&", "{", _RELOAD + ";", "}")
    if step is Step.MOUNT:
        # systemd may have mounted it automatically as soon as the file system appeared.
        return StringCommand(
            *("findmnt --mountpoint", place, ">/dev/null || {"),
            *_if_same_file_system(decision),
            *("mount -t xfs -o", QuoteString(options), QuoteString(decision.device.path), place),
            "; }",
        )
    if step is Step.REMOUNT:
        live = mounts_at(observed, desired.mount_point)[-1].options
        lacking = missing_options(live, desired.mount_options)
        every = dict.fromkeys(("remount", *desired.mount_options, *lacking))
        return StringCommand("mount -o", QuoteString(",".join(every)), place)
    if step is Step.OWNER:
        return _if_mounted(decision, desired, StringCommand("chown", _owner(desired), place))
    text = QuoteString(decision.uuid)
    file = QuoteString(f"{desired.mount_point}/{SENTINEL}")
    fresh = QuoteString(f"{desired.mount_point}/{SENTINEL}.new")
    write = StringCommand(
        "printf '%s\\n'", text, ">", fresh, "&& sync", fresh, "&& mv", fresh, file
    )
    return _if_mounted(decision, desired, write)


def _owner(desired: Desired) -> QuoteString:
    return QuoteString(desired.owner)


def _if_same_file_system(decision: Mount | Format) -> tuple[str | QuoteString, ...]:
    """Guard against a different device: only the file system's own UUID identifies it."""
    path = QuoteString(decision.device.path)
    return (
        *('test "$(blkid -p -s UUID -o value', path, ')" =', QuoteString(decision.uuid)),
        *("|| { echo", path, "no longer holds file system", QuoteString(decision.uuid)),
        "; echo next: run this again; exit 1; } >&2;",
    )


def _if_mounted(
    decision: Mount | Format, desired: Desired, command: StringCommand
) -> StringCommand:
    return StringCommand(
        *('test "$(findmnt -n -o MAJ:MIN --mountpoint', QuoteString(desired.mount_point)),
        *("| tr -d ' ')\" =", QuoteString(decision.device.number)),
        *("|| { echo", QuoteString(desired.mount_point), "has another device mounted;"),
        "echo next: run this again; exit 1; } >&2;",
        *_if_same_file_system(decision),
        command,
    )


def _program(name: str, *arguments: str) -> StringCommand:
    return StringCommand("python3 -I -c", QuoteString(source(name)), *map(QuoteString, arguments))
