"""Which releases of Debian and Ubuntu this project has been tried on, and what Python they need."""

from __future__ import annotations

from dataclasses import dataclass

# ID and VERSION_ID of os-release(5), and what was tried; docs/real-droplet.md says it at length.
TRIED = {
    ("debian", "11"): "Debian 11",
    ("debian", "12"): "Debian 12",
    ("debian", "13"): "Debian 13",
}
# GuideLLM's own `Requires-Python`.
GUIDELLM_PYTHON = (3, 10)


@dataclass(frozen=True)
class OsRelease:
    """A host's distribution, as os-release(5) says.

    + id: such as ``ubuntu``
    + version: such as ``24.04``; empty on a rolling release
    + name: for people, such as ``Ubuntu 24.04.1 LTS``
    """

    id: str
    version: str
    name: str


def untried(release: OsRelease | None) -> str | None:
    """What to say of a release that nobody has tried, in one line; None for one that was.

    + release: None when the host does not say
    """
    if release is not None and (release.id, release.version) in TRIED:
        return None
    name = "a system without /etc/os-release" if release is None else release.name
    tried = ", ".join(TRIED.values())
    return f"never tried on {name}, only on {tried}; the run continues (docs/real-droplet.md)"


def too_old_for_guidellm(python: tuple[int, int] | None) -> bool:
    """Whether GuideLLM cannot be installed with a host's ``python3``.

    + python: its version, None when there is none
    """
    return python is None or python < GUIDELLM_PYTHON
