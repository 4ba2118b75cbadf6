"""A repository of the hub: its commit, its files and their sizes, and its small files.

``GET /api/models/REPO/revision/REV?blobs=true`` and ``GET /REPO/resolve/REV/FILE`` of
https://huggingface.co/docs/hub/api, which mirrors have as well.

Standard library only, in Python 3.8's syntax.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPMessage
    from typing import IO, Any

ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 20
ATTEMPTS = 3
# The largest index of a published model has 10 MB.
MOST_BYTES = 100_000_000
_BUSY = (429, 500, 502, 503, 504)


class HubError(Exception):
    """The hub did not give what it was asked for.

    + kind: ``denied`` without the right token, ``absent`` for a name that it does not know,
      ``unreachable``, or ``odd`` for an answer that cannot be read
    + what: one sentence, without the token
    """

    def __init__(self, kind: str, what: str) -> None:
        self.kind = kind
        super().__init__(what)


@dataclass(frozen=True)
class File:
    """A file of a repository.

    + size: in bytes; None where the hub does not say
    + sha256: of a large file's content; empty for a small one
    """

    path: str
    size: int | None
    sha256: str = ""


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit."""

    repository: str
    commit: str
    files: tuple[File, ...]

    @property
    def total_bytes(self) -> int | None:
        """Of all files; None when the size of one is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)


class Hub:
    """A hub, or a mirror of it.

    + endpoint: its address; None for huggingface.co
    + token: access token; it goes to the endpoint's own server only, and is in no message
    + sleep: waits between attempts; a test passes its own
    + attempts: how often a hub is asked that does not answer
    + timeout_s: of one answer
    + gives_up: a hub that did not answer is not asked again, by whoever has several hosts to plan
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
        timeout_s: float = TIMEOUT_S,
        gives_up: bool = False,
    ) -> None:
        self.endpoint = (endpoint or ENDPOINT).rstrip("/")
        self._token = token
        self._sleep = sleep
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._gives_up = gives_up
        self._away = ""
        self._opener = urllib.request.build_opener(_OwnServerOnly)

    def listing(self, repository: str, revision: str | None = None) -> Listing:
        """Commit and files of a repository.

        + revision: commit, tag or branch; None for ``main``

        Raises :class:`HubError`.
        """
        name = urllib.parse.quote(repository)
        wanted = urllib.parse.quote(revision or "main", safe="")
        what = f"{repository} at {revision}" if revision else repository
        text = self._get(f"/api/models/{name}/revision/{wanted}?blobs=true", what)
        return parse_listing(repository, text)

    def file(self, repository: str, revision: str, path: str, most: int | None = None) -> bytes:
        """Content of a small file, such as ``config.json``; raises :class:`HubError`.

        + most: only so many bytes, from its beginning on
        """
        name, wanted = urllib.parse.quote(repository), urllib.parse.quote(revision, safe="")
        asked = f"/{name}/resolve/{wanted}/{urllib.parse.quote(path)}"
        return self._get(asked, f"{repository}: {path}", most)

    def _get(self, path: str, what: str, most: int | None = None) -> bytes:
        if self._away and self._gives_up:
            raise HubError("unreachable", self._away)
        attempt = 1
        while True:
            try:
                return self._once(path, what, most)
            except _AgainError as error:
                if attempt >= self._attempts:
                    self._away = f"{self.endpoint} {error}"
                    raise HubError("unreachable", self._away) from None
            self._sleep(2.0**attempt)
            attempt += 1

    def _once(self, path: str, what: str, most: int | None) -> bytes:
        request = urllib.request.Request(self.endpoint + path)
        request.add_header("User-Agent", "rocminfra")
        if self._token:
            # Not among those that urllib repeats for whoever it is sent on to.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        if most is not None:
            request.add_header("Range", f"bytes=0-{most - 1}")
        try:
            limit = MOST_BYTES + 1 if most is None else most
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                # A server that knows no ranges sends on; then the connection is closed.
                body: bytes = answer.read(limit)
                # Reading a part of an answer does not tell of one that was cut off.
                left = answer.length or 0
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error, what) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise _AgainError(f"does not answer: {reason}") from None
        if len(body) < limit and left:
            raise _AgainError(f"was cut off: {left:,} bytes of its answer did not come")
        if len(body) > MOST_BYTES:
            raise HubError("odd", f"{what} has more than {MOST_BYTES:,} bytes at {self.endpoint}")
        return body

    def _refused(self, error: urllib.error.HTTPError, what: str) -> Exception:
        if error.code in _BUSY:
            return _AgainError(f"answers {error.code} {error.reason}")
        if error.code in (401, 403):
            # It does not tell what it hides from what is not there.
            why = "the token may not read it" if self._token else "no token was given"
            said = error.headers.get("X-Error-Message") or error.reason
            return HubError(
                "denied", f"{what}: {self.endpoint} denies it ({error.code} {said}); {why}"
            )
        if error.code == 404:
            return HubError("absent", f"{what}: {self.endpoint} does not have it")
        return HubError("odd", f"{what}: {self.endpoint} answers {error.code} {error.reason}")


def parse_listing(repository: str, text: bytes) -> Listing:
    """The listing that the hub's answer is; raises :class:`HubError` for another one."""
    try:
        document: Any = json.loads(text)
        files = [_file(item) for item in document["siblings"]]
        commit = document["sha"] or ""
        if not isinstance(commit, str):
            raise TypeError(f"its commit is {commit!r}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        said = f"{type(error).__name__} {error}"
        raise HubError(
            "odd", f"the hub's answer about {repository} cannot be read: {said}"
        ) from None
    if not commit or "/" in commit or commit.startswith("."):
        raise HubError("odd", f"the hub names no commit of {repository}")
    return Listing(repository, commit, tuple(sorted(files, key=lambda file: file.path)))


def _file(item: Any) -> File:
    path, lfs = str(item["rfilename"]), item.get("lfs")
    # Some mirrors give a large file's size only where they tell its content's hash.
    sizes = (item.get("size"), lfs.get("size") if isinstance(lfs, dict) else None)
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"a file is called {path!r}")
    sha256 = lfs.get("sha256") or lfs.get("oid") if isinstance(lfs, dict) else None
    size = next((size for size in sizes if type(size) is int and size >= 0), None)
    return File(path, size, str(sha256 or ""))


class _AgainError(Exception):
    """May be better in a moment."""


class _OwnServerOnly(urllib.request.HTTPRedirectHandler):
    """Hands the token on within the endpoint's own server, and to nobody else."""

    # What mirrors answer; urllib follows it since Python 3.11.
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        known = 307 if code == 308 else code
        following = super().redirect_request(req, fp, known, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if following is not None and token is not None:
            before, after = (urllib.parse.urlsplit(url) for url in (req.full_url, newurl))
            if (before.scheme, before.netloc) == (after.scheme, after.netloc):
                following.add_unredirected_header("Authorization", token)
        return following
