"""The scratch disk: formatted once, mounted by UUID, and never at the cost of data.

.. code:: python

    from rocminfra.operations import disk

    disk.gate(device="/dev/vdc", mount_point="/srv/scratch")
    disk.scratch(
        name="Scratch disk",
        device="/dev/vdc",
        mount_point="/srv/scratch",
    )

``scratch`` alone is safe: it refuses whatever it does not understand. ``gate`` before the first
operation of a deploy makes the refusal come before anything on that host has changed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host, state
from pyinfra.api import operation
from pyinfra.api.command import PyinfraCommand

from rocminfra.facts.disk_preview import DiskPreview
from rocminfra.facts.disks import Disks
from rocminfra.failure import Do, Failure, Fault
from rocminfra.operations import programs
from rocminfra.operations.disk_commands import format_command, step_command
from rocminfra.operations.foreseen import foresee, is_wanted
from rocminfra.operations.host_failures import exclude, fail, name_failed_operations
from rocminfra.planning.disk.decide import Decision, Format, Keep, Mount, Refuse, decide
from rocminfra.planning.disk.observation import Desired, Observed
from rocminfra.planning.disk.wipe import unused
from rocminfra.planning.foreseen import Foreseen
from rocminfra.planning.programs import XFS

_KEY = "rocminfra.disks"


def gate(
    device: str = "auto",
    mount_point: str = "/mnt/models",
    label: str = "rocm-models",
    mount_options: Sequence[str] = ("nofail", "noatime"),
    owner: str = "root",
    expected_size_gib: float | None = None,
    wipe: str | Sequence[str] = (),
) -> Decision:
    """Decide before the first operation; a refusal takes this host out, and only this one.

    Call it in the prepare stage, with the arguments of :func:`scratch`, before any operation: the
    host is then refused untouched, with ``-y``, without it and with ``--dry``. Reads only, and
    :func:`scratch` uses the same look in the prepare stage.
    """
    desired = _desired(device, mount_point, label, mount_options, owner, expected_size_gib, wipe)
    observed = _observe(desired)
    decision = decide(observed, desired)
    if isinstance(decision, Refuse):
        exclude(state, host, _failure(decision, _preview(observed, decision)))
    elif isinstance(decision, Keep):
        for line in unused(desired.wipe, desired.host, decision.device):
            host.log(line)
        foresee(host, Foreseen(f"disk: {_kept(decision, desired)}"))
    else:
        told = (*_lines(decision), *_preview(observed, decision))
        for line in () if is_wanted(host) else told:
            host.log(line)
        foresee(host, Foreseen("disk:", tuple(f" {line}" for line in told)))
    return decision


@operation()
def scratch(
    device: str = "auto",
    mount_point: str = "/mnt/models",
    label: str = "rocm-models",
    mount_options: Sequence[str] = ("nofail", "noatime"),
    owner: str = "root",
    expected_size_gib: float | None = None,
    wipe: str | Sequence[str] = (),
) -> Generator[str | PyinfraCommand, None, None]:
    """Have a scratch disk as XFS at ``mount_point``, in /etc/fstab by UUID.

    A blank disk is formatted, our own file system is mounted, what is right is left alone, and
    everything else is refused with the evidence and the next command. Nothing is raised.

    + device: ``auto`` chooses by rule; or a path such as ``/dev/vdc`` or ``/dev/disk/by-id/…``, a
      whole disk or a partition
    + mount_point: absolute path; made unwritable below the mount
    + label: XFS label, at most 12 letters, digits, dots, dashes or _; a file system with it is
      taken as ours
    + mount_options: options of the mount and of fstab
    + owner: user that owns the mounted directory
    + expected_size_gib: size in GiB when it is known; a disk that differs by more than 5 % is
      refused
    + wipe: wipe tokens (``HOST:DISK:IDENTITY``) out of a refusal; the only way to destroy data

    **Example:**

    .. code:: python

        disk.scratch(
            name="Scratch disk",
            device="auto",
            mount_point="/mnt/models",
            expected_size_gib=5120,
        )
    """
    desired = _desired(device, mount_point, label, mount_options, owner, expected_size_gib, wipe)
    observed = _observe(desired)
    decision = decide(observed, desired)
    if isinstance(decision, Refuse):
        yield fail(_failure(decision, _preview(observed, decision)))
        return
    if isinstance(decision, Keep):
        host.noop(_kept(decision, desired))
        return
    if isinstance(decision, Format):
        for line in _preview(observed, decision):
            host.log(line)
        if "mkfs.xfs" not in observed.tools:
            yield from programs.ensure(XFS)
        yield format_command(decision, desired)
    for step in decision.steps:
        yield step_command(step, decision, observed, desired)
    if state.is_executing:
        yield from _verify(desired)


def _kept(decision: Keep, desired: Desired) -> str:
    return f"{decision.device.path} is mounted at {desired.mount_point} as it should be"


def _verify(desired: Desired) -> Generator[PyinfraCommand, None, None]:
    """What was done is right when deciding again finds nothing to do."""
    decision = decide(_observe(desired), desired)
    if isinstance(decision, Keep):
        return
    if isinstance(decision, Refuse):
        yield fail(_failure(decision))
        return
    yield fail(
        Failure(
            Fault.DISK_NOT_RIGHT_AFTERWARDS,
            "the scratch disk is not right although every command succeeded on it",
            tuple(_lines(decision)),
            Do(f"findmnt {desired.mount_point}; grep {desired.mount_point} /etc/fstab"),
        )
    )


def _desired(
    device: str,
    mount_point: str,
    label: str,
    mount_options: Sequence[str],
    owner: str,
    expected_size_gib: float | None,
    wipe: str | Sequence[str],
) -> Desired:
    name_failed_operations(state)
    return Desired(
        host=host.name,
        device=device,
        mount_point=mount_point.rstrip("/"),
        label=label,
        mount_options=tuple(mount_options),
        owner=owner,
        expected_size=None if expected_size_gib is None else round(expected_size_gib * 1024**3),
        wipe=(wipe,) if isinstance(wipe, str) else tuple(wipe),
    )


def _observe(desired: Desired) -> Observed:
    """The host's disks: once for the whole prepare stage, again whenever something may change."""
    arguments = {"device": desired.device, "mount_point": desired.mount_point}
    if state.is_executing:
        return host.get_fact(Disks, **arguments)
    looks = host.connector_data.setdefault(_KEY, {})
    key = tuple(arguments.values())
    if key not in looks:
        looks[key] = host.get_fact(Disks, **arguments)
    seen: Observed = looks[key]
    return seen


def _preview(observed: Observed, decision: Decision) -> tuple[str, ...]:
    """What a wipe would destroy, one line for each file system; told once a run and disk."""
    device = decision.device
    if device is None or isinstance(decision, Keep | Mount) or decision.token is None:
        return ()
    members = (device, *observed.partitions(device))
    contents = tuple((m.path, s.kind) for m in members for s in m.signatures)
    told = host.connector_data.setdefault(f"{_KEY}.previews", {})
    if contents and contents not in told:
        told[contents] = host.get_fact(DiskPreview, contents=contents)
    return tuple(f"would be lost: {preview}" for preview in told.get(contents, ()))


def _failure(refusal: Refuse, preview: tuple[str, ...] = ()) -> Failure:
    return refusal.failure.because(*preview)


def _lines(decision: Decision) -> list[str]:
    if isinstance(decision, Refuse):
        return list(decision.failure.why)
    verb = type(decision).__name__.lower()
    lines = [f"{verb} {decision.device.path}: {'; '.join(decision.reasons)}"]
    if not isinstance(decision, Keep):
        lines += [f"    {step.value}" for step in decision.steps]
    return lines + [f"    not {item}" for item in decision.rejected]
