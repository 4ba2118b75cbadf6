"""What the serving host and the load generator say to each other over SSH: frames.

A frame is a JSON object on a line, whose ``bytes`` says how many bytes follow it.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

MOST_HEADER = 64 * 1024
MOST_BODY = 1024 * 1024
# Of one file; a report of 100,000 requests has 60 MB.
MOST_FILE = 2 * 1024**3
# A name as models and data sets have them; never a path, never hidden.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
# Escape sequences as terminals take them (ECMA-48, 5.4 and 5.6), then what is left of others.
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(\x07|\x1b\\)?|[^\S ]|[\x00-\x1f\x7f-\x9f]"
)

Send = Callable[..., None]


class FrameError(ValueError):
    """The other side sent something that is no frame, or a file that it may not send."""


def write(stream: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Write a frame; raises OSError when the other side is gone."""
    line = json.dumps({**header, "bytes": len(body)}, separators=(",", ":"))
    stream.write(line.encode() + b"\n" + body)
    stream.flush()


def read(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, or None at the end; raises :class:`FrameError`."""
    line = stream.readline(MOST_HEADER)
    if not line:
        return None
    try:
        header = json.loads(line)
        size = header["bytes"]
    except (ValueError, TypeError, KeyError):
        raise FrameError(f"no frame: {line[:100]!r}") from None
    if type(size) is not int or not 0 <= size <= MOST_BODY:
        raise FrameError(f"a frame of {size!r} bytes")
    body = stream.read(size)
    return (header, body) if len(body) == size else None


def plain(text: object) -> str:
    """What the other side said, on one line: a terminal obeys nothing in it."""
    return " ".join(_CONTROLS.sub(" ", str(text)).split())[:2000]


def send_file(send: Send, path: Path, name: str, most: int = MOST_FILE) -> None:
    """Send a whole file; one that is missing is left out.

    + send: takes a header and a body
    + path: the file; it must not change meanwhile
    + name: what the other side calls it
    + most: bytes, after which the rest is left out
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        at, body = 0, stream.read(min(MOST_BODY, most))
        while True:
            following = stream.read(min(MOST_BODY, most - at - len(body)))
            send({"file": name, "at": at, "last": not following}, body)
            if not following:
                return
            at, body = at + len(body), following


class Files:
    """Takes files that the other side sends; each appears once it is whole.

    + folder: where they belong
    + allowed: whether a name may be sent; a name is never a path
    + most: the most bytes of files that have a limit of their own, by name
    """

    def __init__(
        self,
        folder: Path,
        allowed: Callable[[str], bool],
        most: Mapping[str, int] | None = None,
    ) -> None:
        self._folder = folder
        self._allowed = allowed
        self._most = dict(most or {})
        self._sizes: dict[str, int] = {}

    def take(self, header: dict[str, Any], body: bytes) -> None:
        """Take a part of a file; raises :class:`FrameError` for one that may not be sent."""
        name = header["file"]
        if not isinstance(name, str) or "/" in name or name[:1] in ("", ".") or "\0" in name:
            raise FrameError(f"a file called {name!r}")
        if not self._allowed(name):
            raise FrameError(f"a file called {name!r}")
        at = header.get("at")
        known = self._sizes.get(name, 0)
        if at == 0:
            known = 0
        if at != known or known + len(body) > self._most.get(name, MOST_FILE):
            raise FrameError(f"{name}: {len(body)} bytes at {at!r}, after {known}")
        new = self._folder / f".{name}.new"
        with new.open("wb" if at == 0 else "ab") as stream:
            stream.write(body)
        self._sizes[name] = known + len(body)
        if header.get("last"):
            new.replace(self._folder / name)
            del self._sizes[name]


def one_of(names: Iterable[str]) -> Callable[[str], bool]:
    """Allows these names only."""
    known = frozenset(names)
    return lambda name: name in known
