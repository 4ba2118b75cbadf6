"""The cloud's REST API, as far as droplets need it.

Reads are tried again: after 429 when the API says so, after a lost connection or a 5xx soon. The
one write that costs money, :meth:`CloudClient.create`, is not: whoever gets no answer to it looks
for the droplet's tag before anything else. Redirects are followed by nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rocminfra.droplets.access import Access
from rocminfra.droplets.api_errors import is_capacity, message
from rocminfra.droplets.clock import Clock
from rocminfra.droplets.http import NOT_SENT, TIMEOUT_S, Http, NoAnswer, Say, in_words
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
from rocminfra.failure import FailedError, Failure

T = TypeVar("T")

PER_PAGE = 200
MOST_PAGES = 500


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
        self._http = Http(access, clock, say, timeout_s)

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def account(self) -> Account:
        """Who the token belongs to.

        This and every other method raise :class:`FailedError` when the cloud refuses (4, 6) or
        cannot be reached (4).
        """
        return self._read("/v2/account", "reading the token's account", account_of)

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
        for pause in self._http.pauses():
            try:
                answer = self._http.send("POST", "/v2/droplets", body)
            except NOT_SENT as error:
                failure = self._http.unreachable(error, doing)
                if not pause(None, failure.why[0]):
                    return Refused(failure)
                continue
            except NoAnswer as error:
                return Unknown(in_words(error))
            if answer.status == 429 and pause(answer.retry_after, "too many requests"):
                continue
            if answer.status >= 500 or answer.status == 408:
                return Unknown(f"{self.access.host} said {answer.status}")
            if not 200 <= answer.status < 300:
                full = answer.status == 422 and is_capacity(message(answer.body))
                return Refused(self._http.refusal(answer, doing), full)
            return _created(answer.body)
        raise AssertionError("pauses end by themselves")

    def destroy(self, number: int) -> bool:
        """Ask for a droplet's end; False when the cloud knows none of this id.

        Whether it is gone is for the list to say.
        """
        doing = f"destroying droplet {number}"
        # A request whose answer was lost may have been carried out: then the droplet that is not
        # there was destroyed by us.
        was_sent = False
        for pause in self._http.pauses():
            try:
                answer = self._http.send("DELETE", f"/v2/droplets/{number}")
            except NoAnswer as error:
                was_sent = was_sent or not isinstance(error, NOT_SENT)
                if not pause(None, in_words(error)):
                    raise FailedError.of(self._http.unreachable(error, doing)) from None
                continue
            if 200 <= answer.status < 300:
                return True
            if answer.status == 404:
                return was_sent
            was_sent = was_sent or answer.status >= 500
            # 422 is "already has an event in progress": it is being made, or powered.
            again = answer.status in (409, 422, 429) or answer.status >= 500
            if again and pause(answer.retry_after, f"{self.access.host} said {answer.status}"):
                continue
            raise FailedError.of(self._http.refusal(answer, doing))
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
        for pause in self._http.pauses():
            try:
                answer = self._http.send("GET", path, query=query)
                if 200 <= answer.status < 300:
                    return parse(_decoded(answer.body))
            except NoAnswer as error:
                if not pause(None, in_words(error)):
                    raise FailedError.of(self._http.unreachable(error, doing)) from None
                continue
            if answer.status == none_at:
                return None
            again = answer.status in (408, 429) or answer.status >= 500
            if again and pause(answer.retry_after, f"{self.access.host} said {answer.status}"):
                continue
            raise FailedError.of(self._http.refusal(answer, doing))
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
        raise UnreadableAnswerError("the answer is not JSON") from None


def _member(data: Any, key: str) -> Mapping[str, Any]:
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, Mapping):
        raise UnreadableAnswerError(f"there is no object '{key}'")
    return found
