"""Files whose contents were compared with a manifest a moment ago: nobody needs to read them again.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Verified:
    """A file that was hashed by this process.

    + sha256: of its contents, in hexadecimal
    + state: :func:`file_state` of it; another one means that somebody has touched the file since
    """

    sha256: str
    state: tuple[int, ...]


# By path relative to a host's folder of results.
VerifiedFiles = Mapping[str, Verified]


def file_state(about: os.stat_result) -> tuple[int, ...]:
    """What the file system says of a file and changes with any write to it.

    + about: what ``stat`` says
    """
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
