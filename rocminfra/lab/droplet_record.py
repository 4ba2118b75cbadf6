"""What is known of a droplet: written before its first resource is made, removed after the last.

Every resource has a name that follows from the record, so that `clean` finds it after a SIGKILL at
any point in between.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.paths import LabPaths

FILE = "state.json"
# The name is a host name, a machine's name (systemd-nspawn -M) and part of file names.
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]\Z")


@dataclass(frozen=True)
class Droplet:
    """One practice droplet.

    + name: also its host name
    + number: third part of its address, and what makes its interface's name unique
    + subnet: first two parts of its address
    + disk_gib: size of its scratch disk
    + time_scale: how much faster than the real ones the engine and the GPU are
    + rocm: generation whose JSON shapes its ``amd-smi`` prints, 6 or 7
    + release: codename of its Debian or Ubuntu
    + base: its base root
    + cache: the lab's cache that it was made from
    + model: folder of the toy model, on this machine
    + created: UTC time, ISO 8601
    """

    name: str
    number: int
    subnet: str
    disk_gib: int
    time_scale: float
    rocm: int
    release: str
    base: str
    cache: str
    model: str
    created: str

    @property
    def address(self) -> str:
        return f"{self.subnet}.{self.number}.2"

    @property
    def gateway(self) -> str:
        """This machine's end of the wire."""
        return f"{self.subnet}.{self.number}.1"

    @property
    def namespace(self) -> str:
        return f"rocminfra-lab-{self.name}"

    @property
    def interface(self) -> str:
        """This machine's end of the wire; the kernel allows 15 characters."""
        return f"rmlab{self.number}"

    @property
    def cgroup(self) -> str:
        return f"rocminfra-lab-{self.name}"


def check_name(name: str) -> None:
    """Refuse a name that cannot be a host name.

    Raises :class:`FailedError`.
    """
    if NAME.match(name) is None or "--" in name:
        raise FailedError(
            Fault.DROPLET_NAME_INVALID,
            f"'{name}' cannot be a droplet's name: small letters, digits and single hyphens, "
            "beginning with a letter, 2 to 32 characters",
            next=Do("rocminfra lab up --name lab-1"),
        )


def save(paths: LabPaths, droplet: Droplet) -> None:
    """Write the record; after a crash it is there as a whole or not at all."""
    folder = paths.droplet(droplet.name)
    folder.mkdir(parents=True)
    file = folder / FILE
    draft = folder / f"{FILE}.new"
    with draft.open("w", encoding="utf-8") as stream:
        json.dump(dataclasses.asdict(droplet), stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(file)


def load(paths: LabPaths, name: str) -> Droplet:
    """The record of droplet ``name``.

    Raises :class:`FailedError` when there is none, or none that can be read.
    """
    folder = paths.droplet(name)
    if not folder.is_dir():
        known = names(paths)
        raise FailedError(
            Fault.LAB_DROPLET_UNKNOWN,
            f"there is no droplet '{name}'",
            (f"there are: {', '.join(known)}",) if known else ("no droplet is up",),
            Do("rocminfra lab status" if known else "rocminfra lab up"),
        )
    try:
        return Droplet(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FailedError(
            Fault.LAB_RECORD_DAMAGED,
            f"the record of droplet '{name}' cannot be used: {error}",
            ("it is left over from a run that was killed, or from another version",),
            Do(f"rocminfra lab down {name}"),
        ) from None


def names(paths: LabPaths) -> tuple[str, ...]:
    """Names of the droplets that have a folder, whatever state they are in."""
    try:
        entries = [entry for entry in paths.state.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return ()
    found = [entry.name for entry in entries if not entry.name.startswith(".")]
    return tuple(sorted(found, key=_natural))


def readable(paths: LabPaths) -> tuple[Droplet, ...]:
    """Every droplet whose record can be read."""
    found = []
    for name in names(paths):
        try:
            found.append(load(paths, name))
        except FailedError:
            continue
    return tuple(found)


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    parts = re.findall(r"\d+|\D+", name)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
