"""Tags: whose a droplet is, which one it is, and until when it may live.

They stand on the droplet itself, so that a reaper on another machine, without our ledger, can tell
a forgotten droplet from somebody else's. Tags of DigitalOcean are letters, digits, ``:``, ``-`` and
``_``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timezone

OURS = "rocminfra"
_UNIQUE = "rocminfra-id:"
_EXPIRES = "rocminfra-expires:"
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"[A-Za-z0-9:_-]{1,255}\Z")


def new_unique() -> str:
    """A tag that no other droplet has."""
    return _UNIQUE + secrets.token_hex(8)


def expires(seconds: float) -> str:
    """The tag of a droplet that may be destroyed from then on (seconds since 1970)."""
    return _EXPIRES + datetime.fromtimestamp(seconds, timezone.utc).strftime(_TIME)


def expiry(tags: Sequence[str]) -> float | None:
    """Until when a droplet may live, or None when no tag says it.

    Of several the latest: a longer life is given by adding a tag. A tag whose time cannot be read
    is none, because nothing is destroyed on a guess.
    """
    found = []
    for tag in tags:
        if not tag.lower().startswith(_EXPIRES):
            continue
        try:
            moment = datetime.strptime(tag[len(_EXPIRES) :].upper(), _TIME)
        except ValueError:
            continue
        found.append(moment.replace(tzinfo=timezone.utc).timestamp())
    return max(found, default=None)


def is_ours(tags: Sequence[str]) -> bool:
    """Whether this program made the droplet."""
    return OURS in tags and unique(tags) is not None


def unique(tags: Sequence[str]) -> str | None:
    """The droplet's own tag."""
    return next((tag for tag in tags if tag.startswith(_UNIQUE)), None)


def is_tag(text: str) -> bool:
    """Whether the cloud takes ``text`` for a tag."""
    return _NAME.match(text) is not None
