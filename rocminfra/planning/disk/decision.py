"""What can be decided about the scratch disk of one host."""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.failure import Failure
from rocminfra.planning.disk.choice import Rejected
from rocminfra.planning.disk.mounting import Step
from rocminfra.planning.disk.observation import Device


@dataclass(frozen=True)
class Keep:
    """Everything is right; nothing to do."""

    device: Device
    uuid: str
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Mount:
    """The file system is ours; only what surrounds it is not right.

    + steps: what to do, in order
    """

    device: Device
    uuid: str
    steps: tuple[Step, ...]
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Format:
    """Make the file system, then mount it.

    + token: the wipe token that permits destroying what is there; None for a blank disk
    """

    device: Device
    uuid: str
    steps: tuple[Step, ...]
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()
    token: str | None = None


@dataclass(frozen=True)
class Refuse:
    """Nothing may be done.

    + failure: the object and what is wrong with it, what was seen, what the operator can do
    + device: the disk it is about, or None when none was found
    + token: the token that would permit wiping it, or None where no token can
    """

    failure: Failure
    device: Device | None = None
    token: str | None = None


Decision = Keep | Mount | Format | Refuse
