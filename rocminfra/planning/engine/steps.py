"""One step of the engine: what it computes, and its results.

Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from typing import NamedTuple


class Chunk(NamedTuple):
    """Tokens of one sequence in one step.

    + request_id: id of the request
    + tokens: number of tokens computed
    + context: number of tokens computed before
    + samples: whether the step yields a new token for it
    """

    request_id: str
    tokens: int
    context: int
    samples: bool


class Step(NamedTuple):
    """One step of the engine.

    + chunks: what is computed, running sequences first
    + encoded_patches: patches of each image that the vision encoder processes
    + preempted: sequences that lost their blocks
    + admitted: sequences admitted from the queue
    """

    chunks: tuple[Chunk, ...]
    encoded_patches: tuple[int, ...] = ()
    preempted: tuple[str, ...] = ()
    admitted: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Number of tokens computed."""
        return sum(chunk.tokens for chunk in self.chunks)


class Completion(NamedTuple):
    """The results of a step.

    + tokens: ids of requests with a new token, one token each
    + finished: those that finished
    """

    tokens: tuple[str, ...]
    finished: tuple[str, ...]
