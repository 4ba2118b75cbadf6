"""The cloud's REST API, as far as droplets need it.

Reads are tried again: after 429 when the API says so, after a lost connection or a 5xx soon. The
one write that costs money, :meth:`CloudClient.create`, is not: whoever gets no answer to it looks
for the droplet's tag before anything else. Redirects are followed by nothing here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from rocminfra import __version__
from rocminfra.droplets.access import Access
from rocminfra.droplets.api_errors import is_capacity, message, refused
from rocminfra.droplets.clock import Clock, lasting
from rocminfra.droplets.records import (
    Account,
    CloudDroplet,
    Image,
    Region,
    Size,
    SshKey,
    UnreadableAnswerError,
    account_of,
    droplet_of,
    image_of,
    region_of,
    size_of,
    ssh_key_of,
)
from rocminfra.failure import Do, ExitCode, FailedError, Failure

Say = Callable[[str], None]
T = TypeVar("T")

TIMEOUT_S = 30.0
# How long one question is tried for in all.
PATIENCE_S = 120.0
# The API's own limit is 5,000 an hour and 250 a minute; its Retry-After may be most of an hour.
LONGEST_RETRY_AFTER_S = 90.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0
PER_PAGE = 200
MOST_PAGES = 500
# An answer of the API is some hundred kB at most; anything larger is not one.
LARGEST_ANSWER = 16 * 1024 * 1024


@dataclass(frozen=True)
class Created:
    """The cloud took the request; ``id`` costs money from now on."""

    id: int
    action: int | None


@dataclass(frozen=True)
class Refused:
    """Nothing was created, for certain.

    + no_capacity: whether another region may have what this one has not
    """

    failure: Failure
    no_capacity: bool = False


@dataclass(frozen=True)
class Unknown:
    """The request left and no answer can be read: a droplet may be there.

    + why: what happened, in words
    """

    why: str


class CloudClient:
    """A cloud, asked with one token.

    + access: endpoint and token
    + clock: for pauses between tries
    + say: told about every pause
    + timeout_s: limit of one request
    """

    def __init__(
        self,
        access: Access,
        clock: Clock,
        say: Say,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.access = access
        self._clock = clock
        self._say = say
        self._http = httpx.Client(
            base_url=access.endpoint,
            headers={
                **access.token.header(),
                "User-Agent": f"rocminfra/{__version__}",
                "Accept": "application/json",
            },
            timeout=timeout_s,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def account(self) -> Account:
        """Who the token belongs to.

        This and every other method raise :class:`FailedError` when the cloud refuses (4, 6) or
        cannot be reached (4).
        """
        return self._read("/v2/account", "asking whose token this is", account_of)

    def sizes(self) -> tuple[Size, ...]:
        """Every size, with its price and the regions that have it now."""
        return tuple(self._all("/v2/sizes", "sizes", size_of))

    def regions(self) -> tuple[Region, ...]:
        return tuple(self._all("/v2/regions", "regions", region_of))

    def images(self) -> tuple[Image, ...]:
        """Distributions and one-click images, and the account's own."""
        return tuple(self._all("/v2/images", "images", image_of))

    def ssh_keys(self) -> tuple[SshKey, ...]:
        return tuple(self._all("/v2/account/keys", "ssh_keys", ssh_key_of))

    def droplets(self) -> tuple[CloudDroplet, ...]:
        """Every droplet of the team.

        Without ``type=gpus`` the API leaves GPU droplets out, and that cannot be combined with a
        tag; so both lists are read, and tags are compared here.
        """
        found = {
            droplet.id: droplet
            for query in ({"type": "gpus"}, {})
            for droplet in self._all("/v2/droplets", "droplets", droplet_of, query)
        }
        return tuple(found[number] for number in sorted(found))

    def droplet(self, number: int) -> CloudDroplet | None:
        """One droplet, or None when the cloud knows none of this id."""
        return self._read_or_none(
            f"/v2/droplets/{number}",
            f"looking at droplet {number}",
            lambda data: droplet_of(_member(data, "droplet")),
        )

    def action_status(self, number: int) -> str | None:
        """``in-progress``, ``completed`` or ``errored``; None when the cloud does not say."""
        return self._read_or_none(
            f"/v2/actions/{number}",
            f"looking at action {number}",
            lambda data: str(_member(data, "action").get("status")),
        )

    def create(self, body: Mapping[str, Any]) -> Created | Refused | Unknown:
        """Ask for one droplet, once.

        Tried again only where the request cannot have arrived: no connection, or 429.

        + body: as the API's description of ``POST /v2/droplets`` says
        """
        doing = f"creating droplet '{body.get('name')}'"
        for pause in self._pauses():
            try:
                answer = self._send("POST", "/v2/droplets", body)
            except _NOT_SENT as error:
                failure = self._unreachable(error, doing)
                if not pause(None, failure.why[0]):
                    return Refused(failure)
                continue
            except (httpx.HTTPError, UnreadableAnswerError) as error:
                return Unknown(_words(error))
            if answer.status == 429 and pause(answer.retry_after, "too many requests"):
                continue
            if answer.status >= 500 or answer.status == 408:
                return Unknown(f"{self.access.host} said {answer.status}")
            if not 200 <= answer.status < 300:
                full = answer.status == 422 and is_capacity(message(answer.body))
                return Refused(self._refusal(answer, doing), full)
            return _created(answer.body)
        raise AssertionError("pauses end by themselves")

    def destroy(self, number: int) -> bool:
        """Ask for a droplet's end; False when the cloud knows none of this id.

        Whether it is gone is for the list to say.
        """
        doing = f"destroying droplet {number}"
        for pause in self._pauses():
            try:
                answer = self._send("DELETE", f"/v2/droplets/{number}")
            except (httpx.HTTPError, UnreadableAnswerError) as error:
                if not pause(None, _words(error)):
                    raise FailedError(self._unreachable(error, doing)) from None
                continue
            if 200 <= answer.status < 300:
                return True
            if answer.status == 404:
                return False
            # 422 is "already has an event in progress": it is being made, or powered.
            again = answer.status in (409, 422, 429) or answer.status >= 500
            if again and pause(answer.retry_after, f"{self.access.host} said {answer.status}"):
                continue
            raise FailedError(self._refusal(answer, doing))
        raise AssertionError("pauses end by themselves")

    def _read(
        self,
        path: str,
        doing: str,
        parse: Callable[[Any], T],
        query: Mapping[str, str] | None = None,
    ) -> T:
        answer = self._read_or_none(path, doing, parse, query, none_at=None)
        if answer is None:
            raise AssertionError("only a status that is named gives None")
        return answer

    def _read_or_none(
        self,
        path: str,
        doing: str,
        parse: Callable[[Any], T],
        query: Mapping[str, str] | None = None,
        none_at: int | None = 404,
    ) -> T | None:
        for pause in self._pauses():
            try:
                answer = self._send("GET", path, query=query)
                if 200 <= answer.status < 300:
                    return parse(_decoded(answer.body))
            except (httpx.HTTPError, UnreadableAnswerError) as error:
                if not pause(None, _words(error)):
                    raise FailedError(self._unreachable(error, doing)) from None
                continue
            if answer.status == none_at:
                return None
            again = answer.status in (408, 429) or answer.status >= 500
            if again and pause(answer.retry_after, f"{self.access.host} said {answer.status}"):
                continue
            raise FailedError(self._refusal(answer, doing))
        raise AssertionError("pauses end by themselves")

    def _all(
        self,
        path: str,
        key: str,
        parse: Callable[[Any], T],
        query: Mapping[str, str] | None = None,
    ) -> Iterator[T]:
        """Every item of a list; pages are followed by number, never by the URL in the answer,
        which would take the token wherever it points."""
        for page in range(1, MOST_PAGES + 1):
            items, has_next = self._read(
                path,
                f"reading {key.replace('_', ' ')}",
                lambda data: _page(data, key, parse),
                {**(query or {}), "per_page": str(PER_PAGE), "page": str(page)},
            )
            yield from items
            if not has_next:
                return

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> _Answer:
        with self._http.stream(method, path, json=body, params=query) as response:
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise UnreadableAnswerError("the answer is too large to be the API's")
            return _Answer(
                response.status_code,
                content,
                response.headers.get("location"),
                _seconds(response.headers.get("retry-after")),
            )

    def _pauses(self) -> Iterator[Callable[[float | None, str], bool]]:
        """One item a try: a function that pauses before the next, or says that there is none."""
        deadline = self._clock.now() + PATIENCE_S
        length = FIRST_PAUSE_S

        def pause(wanted: float | None, why: str) -> bool:
            nonlocal length
            wait = length * random.uniform(0.8, 1.2) if wanted is None else wanted
            length = min(length * 2, LONGEST_PAUSE_S)
            if wait > LONGEST_RETRY_AFTER_S or self._clock.now() + wait > deadline:
                return False
            self._say(f"{why}; trying again in {lasting(wait)}")
            self._clock.sleep(wait)
            return True

        while True:
            yield pause

    def _refusal(self, answer: _Answer, doing: str) -> Failure:
        return refused(answer.status, answer.body, answer.location, self.access.endpoint, doing)

    def _unreachable(self, error: Exception, doing: str) -> Failure:
        host = urlsplit(self.access.endpoint).netloc
        return Failure(
            ExitCode.UNREACHABLE,
            f"no usable answer from {host} ({doing})",
            (_words(error),),
            Do(f"curl -sSI {self.access.endpoint}   # shows whether this machine gets there"),
        )


# The connection was never made, so that no request can have left.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    location: str | None
    retry_after: float | None


def _created(body: bytes) -> Created | Unknown:
    try:
        data = _decoded(body)
        droplet = _member(data, "droplet")
        links = data.get("links") or {}
        actions = links.get("actions") if isinstance(links, Mapping) else None
        action = actions[0].get("id") if actions else None
        number = droplet.get("id")
        if isinstance(number, bool) or not isinstance(number, int):
            raise UnreadableAnswerError("a droplet without an id")
        return Created(number, action if isinstance(action, int) else None)
    except (UnreadableAnswerError, AttributeError, LookupError, TypeError) as error:
        return Unknown(f"the answer cannot be read: {error}")


def _page(data: Any, key: str, parse: Callable[[Any], T]) -> tuple[list[T], bool]:
    items = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(items, list):
        raise UnreadableAnswerError(f"there is no list '{key}'")
    links = data.get("links")
    pages = links.get("pages") if isinstance(links, Mapping) else None
    following = pages.get("next") if isinstance(pages, Mapping) else None
    return [parse(item) for item in items], bool(following)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise UnreadableAnswerError("the answer is no JSON") from None


def _member(data: Any, key: str) -> Mapping[str, Any]:
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, Mapping):
        raise UnreadableAnswerError(f"there is no object '{key}'")
    return found


def _seconds(text: str | None) -> float | None:
    """``Retry-After`` in seconds; the form with a date is not used by this API."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and value >= 0 else None


def _words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in time ({type(error).__name__})"
    return str(error) or type(error).__name__
