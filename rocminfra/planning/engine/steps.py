"""One step of the engine: what it computes, and what came of it.

Standard library only: the engine simulator's image carries this file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """Tokens of one sequence in one step.

    + request_id: whose
    + tokens: how many are computed
    + context: how many it had computed before
    + samples: whether the step ends with a new token of it
    """

    request_id: str
    tokens: int
    context: int
    samples: bool


@dataclass(frozen=True)
class Step:
    """One step of the engine.

    + chunks: what is computed, running sequences first
    + encoded_patches: patches of each image that the vision encoder works on in it
    + preempted: sequences that lost their blocks for it
    + admitted: sequences that came out of the queue for it
    """

    chunks: tuple[Chunk, ...]
    encoded_patches: tuple[int, ...] = ()
    preempted: tuple[str, ...] = ()
    admitted: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens computed in it."""
        return sum(chunk.tokens for chunk in self.chunks)


@dataclass(frozen=True)
class Completion:
    """What a step gave.

    + tokens: ids of requests with a new token, a token each
    + finished: those of them that ended with it
    """

    tokens: tuple[str, ...]
    finished: tuple[str, ...]
