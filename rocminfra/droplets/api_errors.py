"""What the cloud's refusals mean: status and body in, a failure with its next step out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rocminfra.droplets.access import AMD, DIGITALOCEAN, ENDPOINT, console
from rocminfra.failure import Do, Failure, Fault

# The API's own words for "no capacity"; both come with 422.
_NO_CAPACITY = (
    "size is not available in this region",
    "this size is unavailable",
    "size is currently restricted",
)
_LIMIT = ("droplet limit", "exceed your droplet")
_SHOWN_CHARACTERS = 300


def refused(status: int, body: bytes, location: str | None, endpoint: str, doing: str) -> Failure:
    """The failure behind an unsuccessful answer.

    + status: HTTP status
    + body: what came with it
    + location: the ``Location`` header of a redirect
    + endpoint: the URL that was asked
    + doing: what was being done, such as ``creating droplet 'a'``
    """
    host = urlsplit(endpoint).hostname or endpoint
    said = message(body)
    why = (f"{host} said {status}: {said}",) if said else (f"{host} said {status}",)
    if 300 <= status < 400:
        return _redirected(status, location, host, doing)
    if status == 401:
        return Failure(
            Fault.CLOUD_TOKEN_REFUSED,
            f"{host} does not know this token",
            (*why, _wrong_cloud(host)),
            Do(f"make a token there: {console(endpoint)}"),
        )
    if status == 403:
        return Failure(
            Fault.CLOUD_TOKEN_NOT_ALLOWED,
            f"this token may not do that ({doing})",
            (*why, "a token's scopes cannot be changed after it was made"),
            Do(f"make one with the scopes in docs/droplets.md: {console(endpoint)}"),
        )
    if status == 404:
        return Failure(
            Fault.CLOUD_NOT_FOUND,
            f"{host} knows nothing of this ({doing})",
            why,
            Do("rocminfra droplet list   # shows the team that the token belongs to"),
        )
    if status == 429:
        return Failure(
            Fault.CLOUD_RATE_LIMIT,
            f"{host} lets this token ask no more for now ({doing})",
            why,
            Do("wait until the hour is over, then run this again"),
        )
    if status == 422 and is_capacity(said):
        return Failure(
            Fault.CLOUD_NO_CAPACITY, f"no capacity ({doing})", why, Do("rocminfra droplet sizes")
        )
    if status in (400, 409, 422):
        limit = any(text in said.lower() for text in _LIMIT)
        step = "ask for a higher limit in the console" if limit else "rocminfra droplet sizes"
        return Failure(Fault.CLOUD_REQUEST_REFUSED, f"{host} refused it ({doing})", why, Do(step))
    return Failure(
        Fault.CLOUD_UNAVAILABLE,
        f"{host} is not well ({doing})",
        why,
        Do("run this again in a few minutes"),
    )


def is_capacity(said: str) -> bool:
    """Whether the API's message says that there is none of this size."""
    return any(text in said.lower() for text in _NO_CAPACITY)


def message(body: bytes) -> str:
    """The API's own words in an answer, in one short line."""
    try:
        data: Any = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace")
        # A proxy's error page says nothing that helps.
        return "" if "<" in text else _short(text)
    if isinstance(data, Mapping):
        return _short(str(data.get("message") or data.get("id") or ""))
    return ""


def _redirected(status: int, location: str | None, host: str, doing: str) -> Failure:
    goal = urlsplit(location or "").hostname
    return Failure(
        Fault.CLOUD_REDIRECT,
        f"{host} is not the API's address any more: it redirects to {goal or 'elsewhere'}",
        (
            f"{host} said {status} ({doing})",
            "redirects are not followed: a token and a write go only where you sent them",
        ),
        Do(f"export {ENDPOINT}={f'https://{goal}' if goal else AMD}   # if you trust that host"),
    )


def _wrong_cloud(host: str) -> str:
    if host == urlsplit(AMD).hostname:
        return "tokens of the ordinary DigitalOcean do not work here; AMD's teams are separate"
    if host == urlsplit(DIGITALOCEAN).hostname:
        return "tokens of the AMD Developer Cloud do not work here; its teams are separate"
    return "a token works only at the cloud that it was made for"


def _short(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
