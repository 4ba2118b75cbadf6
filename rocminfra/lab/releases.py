"""Releases of this machine's distribution that droplets can be of, besides its own.

They come from the archive that this machine's apt uses: an archive holds many releases, and its
sources for one are those for another under its codename. No host and no codename is named here.
"""

from __future__ import annotations

import dataclasses
import re

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import machine
from rocminfra.lab.machine import Mirror, Release

# Where `machine` puts what concerns this machine's own release only.
_OWN_KEYS = re.compile(r"/etc/apt/trusted\.gpg\.d/(debian|ubuntu)-(archive|keyring)-.*")
_SOURCES = re.compile(r"/etc/apt/sources\.list(\.d/.*)?")
SOURCES_FILE = "/etc/apt/sources.list"


def chosen(codename: str | None) -> Release:
    """The release that a droplet should be of.

    + codename: such as ``trixie``; None for this machine's own

    Raises :class:`FailedError`.
    """
    own = machine.release()
    if codename is None or codename == own.codename:
        return own
    if not re.fullmatch(r"[a-z]+", codename):
        raise FailedError(
            Fault.LAB_OPTION_INVALID,
            f"'{codename}' is not a release's codename: small letters",
            next=Do(f"rocminfra lab up --release {own.codename}"),
        )
    return dataclasses.replace(own, codename=codename)


def mirror(release: Release) -> Mirror:
    """Where this machine's apt gets ``release``, or would: where it gets its own.

    Raises :class:`FailedError` when apt has no source of this machine's distribution.
    """
    own = machine.release()
    try:
        return machine.mirror(release.codename)
    except FailedError:
        if release == own:
            raise
    return machine.mirror(own.codename)


def apt_files(release: Release) -> dict[str, bytes]:
    """Files of apt's configuration for a root of ``release``: path in the droplet and contents."""
    own = machine.release()
    files = machine.apt_files()
    if release == own:
        return files
    # Other people's archives are for this machine's release, and so are the keys of its own.
    kept = {
        path: contents
        for path, contents in files.items()
        if not _SOURCES.fullmatch(path)
        and not _OWN_KEYS.fullmatch(path)
        and not path.startswith("/usr/share/keyrings/")
    }
    text = sources(machine.index_targets(), own.codename, release.codename)
    return {**kept, SOURCES_FILE: text.encode()}


def sources(listed: str, own: str, wanted: str) -> str:
    """Text of a ``sources.list`` for release ``wanted``.

    + listed: what :func:`machine.index_targets` gives
    + own: codename of the release that those lines are about
    """
    components: dict[tuple[str, str], list[str]] = {}
    for target in machine.parse_targets(listed):
        # `bookworm`, and its `-updates` and `-security`.
        if target.origin in machine.ORIGINS and target.suite.split("-")[0] == own:
            suite = wanted + target.suite.removeprefix(own)
            known = components.setdefault((target.uri, suite), [])
            if target.component not in known:
                known.append(target.component)
    return "".join(
        f"deb {uri} {suite} {' '.join(names)}\n" for (uri, suite), names in components.items()
    )
