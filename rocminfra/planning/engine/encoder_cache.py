"""The vision encoder's cache: embeddings wait there until the decoder has computed their tokens.

Source: ``vllm/v1/core/encoder_cache_manager.py`` and ``_try_schedule_encoder_inputs`` of vLLM's
scheduler. vLLM shares the embeddings of equal images; here each image takes its own room. Standard
library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from collections.abc import Iterator

from rocminfra.planning.engine.request import ImageSpan
from rocminfra.planning.engine.sequence import Sequence


class EncoderCache:
    """Room for the embeddings of ``size`` image tokens."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.free = size

    def limit(self, sequence: Sequence, want: int, budget: int) -> int:
        """How many of ``want`` tokens can be computed next: up to the first image that exceeds the
        room or the step's budget."""
        room = min(self.free, budget)
        for _, image in _reached(sequence, want):
            if image.tokens > room:
                return max(0, image.offset - sequence.computed)
            room -= image.tokens
        return want

    def encode(self, sequence: Sequence, want: int) -> list[ImageSpan]:
        """Reserve room for the images that the next ``want`` tokens reach, and return them."""
        taken: list[ImageSpan] = []
        for index, image in _reached(sequence, want):
            self.free -= image.tokens
            sequence.encoded.add(index)
            taken.append(image)
        return taken

    def release_passed(self, sequence: Sequence) -> None:
        """Free the embeddings whose tokens have been computed."""
        for index in [*sequence.encoded]:
            image = sequence.images[index]
            if image.offset + image.tokens <= sequence.computed:
                sequence.encoded.discard(index)
                self.free += image.tokens

    def release(self, sequence: Sequence) -> None:
        """Free everything that ``sequence`` holds."""
        for index in sequence.encoded:
            self.free += sequence.images[index].tokens
        sequence.encoded.clear()


def _reached(sequence: Sequence, want: int) -> Iterator[tuple[int, ImageSpan]]:
    """Images, with their index, that the next ``want`` tokens reach and that have no embeddings."""
    start = sequence.computed
    for index, image in enumerate(sequence.images):
        if image.offset >= start + want:
            break
        if image.offset + image.tokens > start and index not in sequence.encoded:
            yield index, image
