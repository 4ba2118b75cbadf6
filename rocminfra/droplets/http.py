"""HTTP to the cloud: one request at a time, pauses between tries, and no redirect followed."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from rocminfra import __version__
from rocminfra.droplets import waiting
from rocminfra.droplets.access import Access
from rocminfra.droplets.api_errors import refused
from rocminfra.droplets.clock import Clock
from rocminfra.droplets.records import UnreadableAnswerError
from rocminfra.failure import Do, Failure, Fault

Say = Callable[[str], None]

TIMEOUT_S = 9.0
# How long one question is tried for in all.
PATIENCE_S = 120.0
# The API's own limit is 5,000 an hour and 250 a minute; its Retry-After may be most of an hour.
LONGEST_RETRY_AFTER_S = 90.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0
# An answer of the API is some hundred kB at most; anything larger is not one.
LARGEST_ANSWER = 16 * 1024 * 1024


# The connection was never made, so that no request can have left.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)

# What a request can end with instead of an answer.
NoAnswer = (httpx.HTTPError, UnreadableAnswerError)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    location: str | None
    retry_after: float | None


@cache
def _certificates() -> ssl.SSLContext:
    # Reading them takes a tenth of a second.
    return httpx.create_ssl_context()


class Http:
    """Requests that carry the token.

    + access: endpoint and token
    + clock: for pauses between tries
    + say: told about every pause
    + timeout_s: limit of one request
    """

    def __init__(self, access: Access, clock: Clock, say: Say, timeout_s: float) -> None:
        self._access = access
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
            verify=_certificates(),
        )

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        with self._http.stream(method, path, json=body, params=query) as response:
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise UnreadableAnswerError("the answer is too large to be the API's")
            return Answer(
                response.status_code,
                content,
                response.headers.get("location"),
                _seconds(response.headers.get("retry-after")),
            )

    def pauses(self) -> Iterator[Callable[[float | None, str], bool]]:
        """One item a try: a function that pauses before the next, or says that there is none."""
        deadline = self._clock.now() + PATIENCE_S
        length = FIRST_PAUSE_S

        def pause(wanted: float | None, why: str) -> bool:
            nonlocal length
            wait = length * random.uniform(0.8, 1.2) if wanted is None else wanted
            length = min(length * 2, LONGEST_PAUSE_S)
            if wait > LONGEST_RETRY_AFTER_S or self._clock.now() + wait > deadline:
                return False
            waiting.pause(wait, why, self._clock, self._say)
            return True

        while True:
            yield pause

    def refusal(self, answer: Answer, doing: str) -> Failure:
        return refused(answer.status, answer.body, answer.location, self._access.endpoint, doing)

    def unreachable(self, error: Exception, doing: str) -> Failure:
        host = urlsplit(self._access.endpoint).netloc
        return Failure(
            Fault.CLOUD_UNAVAILABLE,
            f"no usable answer from {host} ({doing})",
            (in_words(error),),
            Do(f"curl -sSI {self._access.endpoint}   # shows whether this machine gets there"),
        )


def _seconds(text: str | None) -> float | None:
    """``Retry-After`` in seconds; the form with a date is not used by this API."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and value >= 0 else None


def in_words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in time ({type(error).__name__})"
    return str(error) or type(error).__name__
