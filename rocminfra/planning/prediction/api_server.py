"""What stands between a client and the engine: one process that takes requests and streams tokens.

Standard library only.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class ApiServer:
    """Times of the server's process, which does one thing after the other, and of the way to it.

    + client_s: from a client's request to the scheduler's queue besides what follows: the client's
      own turn, HTTP, the way between processes
    + request_s: a request in the process: parsing, chat template, tokenizer
    + token_s: a piece of an answer in the process: text, JSON, HTTP
    + preprocess_s_per_megapixel: decoding and cutting an image, one after the other beside it

    Requests that come together wait for each other: a thousand at once reach the engine when the
    last of them has been read. So do answers behind requests; tokens of one that have come
    meanwhile leave as one piece.
    """

    client_s: float = 0.0
    request_s: float = 0.0
    token_s: float = 0.0
    preprocess_s_per_megapixel: float = 0.0


# Decoding, resizing, normalising and hashing a megapixel on one modern core. An estimate with no
# published source; docs/planning.md shows its effect.
PREPROCESS_S_PER_MEGAPIXEL = 0.1
# HTTP and the client's own turn between two requests. With a request's own time it is what is left
# of published times to the first token of one stream.
CLIENT_S = 0.005
# What a thousand chats at once show: nothing for six seconds, then all first tokens together.
CHAT = ApiServer(CLIENT_S, 0.006, 50e-6, PREPROCESS_S_PER_MEGAPIXEL)
# Plain completions have no template, and their first tokens come from the start.
COMPLETIONS = ApiServer(CLIENT_S, 0.001, 50e-6, PREPROCESS_S_PER_MEGAPIXEL)
# An engine without a server (``vllm bench throughput``).
OFFLINE = ApiServer()


class Piece(NamedTuple):
    """Tokens of a request that reach the client together, at a time."""

    request_id: str
    tokens: int
    at: float


class Taken(NamedTuple):
    """A request that reaches the scheduler, at a time."""

    number: int
    at: float


class Process:
    """The server's process on the virtual clock.

    + free_at: when it has done all that it was given
    """

    def __init__(self, times: ApiServer) -> None:
        self._times = times
        self.free_at = 0.0
        self._images_free_at = 0.0
        self._requests: list[tuple[float, int]] = []
        self._pieces: dict[str, int] = {}
        self._since = 0.0

    @property
    def next_turn(self) -> float | None:
        """When it does something again; None without anything to do."""
        if not self._requests:
            return max(self.free_at, self._since) if self._pieces else None
        first = self._requests[0][0]
        if self._pieces and self._since < first:
            first = self._since
        return max(self.free_at, first)

    def sent(self, at: float, number: int, pixels: int) -> None:
        """A client sends a request.

        + pixels: of its images
        """
        if pixels:
            images = pixels * self._times.preprocess_s_per_megapixel / 1e6
            at = self._images_free_at = max(at, self._images_free_at) + images
        heapq.heappush(self._requests, (at, number))

    def given(self, request_ids: tuple[str, ...], now: float) -> None:
        """The engine has a new token of each of these requests."""
        for request_id in request_ids:
            self._pieces[request_id] = self._pieces.get(request_id, 0) + 1
        self._since = now

    def works(self, until: float) -> Iterator[Taken | Piece]:
        """What it does until then, one turn after the other: all requests that are there, which go
        on together, and then all pieces."""
        while (start := self.next_turn) is not None and start <= until:
            numbers: list[int] = []
            while self._requests and self._requests[0][0] <= start:
                numbers.append(heapq.heappop(self._requests)[1])
            at = start + len(numbers) * self._times.request_s
            yield from (Taken(number, at + self._times.client_s) for number in numbers)
            if self._pieces and self._since <= start:
                pieces, self._pieces = self._pieces, {}
                for request_id, tokens in pieces.items():
                    at += self._times.token_s
                    yield Piece(request_id, tokens, at)
            self.free_at = at
