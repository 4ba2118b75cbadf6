"""Programs of the host that operations run, and the Debian packages that bring them.

Everything else that operations call is in packages that Debian and Ubuntu require, in systemd, or
in procps, on which openssh-server depends.

Releases cut packages differently: Debian 13 has the ``docker`` program in a package of its own,
which ``docker.io`` only recommends. So a need names programs, not packages alone, and whoever
installs for it looks at the programs afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """What an operation runs on the host.

    + programs: found on the search path
    + modules: that the host's ``python3`` can import
    + packages: installed when one of those is missing; every release has them
    + where_offered: installed with them on releases that have them
    """

    packages: tuple[str, ...]
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    where_offered: tuple[str, ...] = ()

    def missing(self, found: Collection[str]) -> tuple[str, ...]:
        """What is not among ``found``, as people call it; see :func:`labels`."""
        return tuple(label for label in labels(self.programs, self.modules) if label not in found)


def labels(programs: Collection[str], modules: Collection[str]) -> tuple[str, ...]:
    """Names of programs, and of Python modules as ``python3 -m NAME``."""
    return (*programs, *(f"python3 -m {module}" for module in modules))


XFS = Need(packages=("xfsprogs",), programs=("mkfs.xfs",))
# `venv` without `ensurepip` is there on every Debian and of no use.
VENV = Need(packages=("python3-venv",), modules=("venv", "ensurepip"))
# Split off from docker.io in Debian 13.
DOCKER_CLI = "docker-cli"
DEBIANS_DOCKER = "docker.io"
# What docker.io recommends and a host without it would miss: the registry's certificate cannot be
# checked, an image archive ending in .xz cannot be loaded.
DOCKER_HELPERS = ("ca-certificates", "xz-utils")
# Without its parser Docker starts containers outside of every AppArmor profile, and says nothing.
APPARMOR = "apparmor"


def docker(package: str, apparmor: bool) -> Need:
    """Docker with its daemon and the ``docker`` program.

    + package: what to install, Debian's or Docker's own
    + apparmor: whether the host's kernel enforces AppArmor
    """
    return Need(
        packages=(package, *DOCKER_HELPERS, *((APPARMOR,) if apparmor else ())),
        programs=("docker", "dockerd"),
        # Of Docker's own packages the right one comes as a dependency.
        where_offered=(DOCKER_CLI,) if package == DEBIANS_DOCKER else (),
    )


def virtual_environments(python: tuple[int, int] | None) -> Need:
    """``python3 -m venv`` of the Python that ``python3`` is.

    + python: its version; another one than the release's own has a package of its own
    """
    if python is None:
        return VENV
    return dataclasses.replace(VENV, where_offered=(f"python{python[0]}.{python[1]}-venv",))
