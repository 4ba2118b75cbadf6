"""Where the lab keeps things: state of what is up, and a cache that survives it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "ROCMINFRA_LAB_CACHE"
STATE = Path("/var/lib/rocminfra-lab")
# The cache is always a folder of this name, so that a disk may be named as its place.
_FOLDER = "rocminfra-lab"

# A base root, also one whose building was killed: base-<codename>-<twelve digits of its key>.
_BASE = re.compile(r"base-[a-z]+-[0-9a-f]{12}(\.building-[0-9]+)?")
# Everything that the lab and its tests keep in the cache.
_ENTRY = re.compile(
    rf"{_BASE.pattern}|vm-[0-9a-f]{{12}}(\.building)?|\.toy-qwen2-vl-\w+|toy-qwen2-vl(\.key)?"
    r"|\.locks|assets|debootstrap-debs|debs|pip|ssh"
)


@dataclass(frozen=True)
class LabPaths:
    """Folders of the lab on this machine.

    + state: one folder per droplet, removed with it; a fixed place, so that `clean` finds what a
      killed run left, whoever started it
    + cache: packages, wheels and the base root; removing it costs time only
    """

    state: Path
    cache: Path

    @property
    def locks(self) -> Path:
        return self.state / ".locks"

    @property
    def key(self) -> Path:
        """The lab's own private key; its public half stands beside it as ``.pub``."""
        return self.cache / "ssh" / "id_ed25519"

    @property
    def assets(self) -> Path:
        """What a droplet sees read-only as ``/srv/rocminfra``."""
        return self.cache / "assets"

    @property
    def model(self) -> Path:
        return self.cache / "toy-qwen2-vl"

    def debs(self, release: str) -> Path:
        """Packages that droplets of one release have downloaded."""
        return self.cache / "debs" / release

    @property
    def wheels(self) -> Path:
        return self.cache / "pip"

    def droplet(self, name: str) -> Path:
        return self.state / name


def default_paths(environ: Mapping[str, str] | None = None) -> LabPaths:
    """The lab's folders on this machine.

    + environ: usually ``os.environ``; ``ROCMINFRA_LAB_CACHE`` and ``XDG_CACHE_HOME`` are read, and
      name the folder in which the cache is one of its own
    """
    environ = os.environ if environ is None else environ
    named = environ.get(CACHE_VARIABLE, "").strip()
    if named:
        return LabPaths(STATE, Path(named).absolute() / _FOLDER)
    base = environ.get("XDG_CACHE_HOME", "").strip()
    home = Path(base) if base else Path("~/.cache").expanduser()
    return LabPaths(STATE, home.absolute() / _FOLDER)


def is_base(folder: Path) -> bool:
    """Whether an entry of the cache is a base root, by its name and kind."""
    return _BASE.fullmatch(folder.name) is not None and folder.is_dir() and not folder.is_symlink()


def is_ours(entry: Path) -> bool:
    """Whether an entry of the cache is the lab's, by its name."""
    return _ENTRY.fullmatch(entry.name) is not None
