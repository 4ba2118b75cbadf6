"""A client's request as the scheduler sees it: counts, no text.

Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageSpan:
    """An image inside a prompt.

    + offset: tokens of the prompt before it
    + tokens: tokens it takes in the prompt, and entries in the encoder's cache
    + patches: patches for the vision encoder
    """

    offset: int
    tokens: int
    patches: int

    def __post_init__(self) -> None:
        if self.offset < 0 or self.tokens < 1 or self.patches < self.tokens:
            raise ValueError(f"not an image inside a prompt: {self}")


@dataclass(frozen=True)
class Request:
    """One request.

    + id: unique among the requests in an engine
    + prompt_tokens: tokens of the prompt, including its images; at least 1
    + output_tokens: tokens after which it ends; at least 1
    + images: images in the order of the prompt, not overlapping
    + cached_tokens: first tokens of the prompt whose keys and values the prefix cache holds; fewer
      than the prompt has, because the last one is computed in any case
    """

    id: str
    prompt_tokens: int
    output_tokens: int
    images: tuple[ImageSpan, ...] = ()
    cached_tokens: int = 0

    def __post_init__(self) -> None:
        if self.prompt_tokens < 1 or self.output_tokens < 1:
            raise ValueError(
                f"request {self.id}: prompt and output need at least one token each, not "
                f"{self.prompt_tokens} and {self.output_tokens}"
            )
        if not 0 <= self.cached_tokens < self.prompt_tokens:
            raise ValueError(
                f"request {self.id}: {self.cached_tokens} tokens of a prompt of "
                f"{self.prompt_tokens} cannot be cached"
            )
        end = 0
        for image in self.images:
            if image.offset < end:
                raise ValueError(f"request {self.id}: its images overlap or are out of order")
            end = image.offset + image.tokens
        if end > self.prompt_tokens:
            raise ValueError(f"request {self.id}: an image ends after the prompt")

    @property
    def total_tokens(self) -> int:
        """Prompt and output together."""
        return self.prompt_tokens + self.output_tokens
