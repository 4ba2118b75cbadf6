"""A request in the scheduler.

Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from rocminfra.planning.engine.request import ImageSpan, Request


class Sequence:
    """The scheduler's state of a request.

    + request: the request
    + images: the request's images
    + total: number of tokens, prompt and generated
    + computed: tokens whose KV is in the cache
    + generated: tokens generated so far
    + encoded: indices of images whose embeddings are in the encoder's cache
    """

    __slots__ = ("computed", "encoded", "generated", "images", "request", "total")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.images: tuple[ImageSpan, ...] = request.images
        self.total = request.prompt_tokens
        self.computed = request.cached_tokens
        self.generated = 0
        self.encoded: set[int] = set()

    def preempt(self) -> None:
        """Forget what was computed; what was generated stays, and is computed again."""
        self.computed = self.request.cached_tokens
