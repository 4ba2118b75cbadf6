"""The requests of a benchmark: sizes only, deterministic for a given seed.

Standard library only.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol

from rocminfra.planning.engine.model_shape import VisionShape, image_grid
from rocminfra.planning.engine.request import ImageSpan, Request


class Workload(Protocol):
    """Requests by number."""

    def request(self, number: int) -> Request:
        """The request with this number; deterministic."""
        ...

    def pixels(self, number: int) -> int:
        """Pixels of its images, for the preprocessing time."""
        ...


@dataclass(frozen=True)
class SyntheticText:
    """Prompts and answers of fixed length, like GuideLLM's ``synthetic_text``.

    + prompt_tokens, output_tokens: tokens of every request
    + template_tokens: tokens added by the chat template; 19 in the reference run (8,211 for 8,192)
    """

    prompt_tokens: int
    output_tokens: int
    template_tokens: int = 19

    def request(self, number: int) -> Request:
        """The request with this number."""
        return Request(f"r{number}", self.prompt_tokens + self.template_tokens, self.output_tokens)

    def pixels(self, number: int) -> int:
        """None: there are no images."""
        return 0


@dataclass(frozen=True)
class ScannedPages:
    """Questions about scanned pages, as in DocVQA.

    + vision: how pages become tokens
    + max_pixels: cap on a page's pixels, None for the model's own
    + median_pixels: median pixels of a page; 3.86 million is published
    + pixels_spread: standard deviation of the logarithm of a page's pixels
    + aspect: height over width; US Letter paper
    + text_tokens: question and chat template; the rest of the published median of 4,996
    + output_median, output_spread: an answer's tokens; a median of 19 is published
    + seed: seed for the random pages and answers
    """

    vision: VisionShape
    max_pixels: int | None = None
    median_pixels: float = 3.86e6
    pixels_spread: float = 0.0
    aspect: float = 11 / 8.5
    text_tokens: int = 36
    output_median: float = 19.0
    output_spread: float = 0.0
    seed: int = 42

    def request(self, number: int) -> Request:
        """The request with this number."""
        width, height = self._size(number)
        grid = image_grid(width, height, self.vision, self.max_pixels)
        before = self.text_tokens // 3
        image = ImageSpan(before, grid.tokens, grid.patches)
        draw = random.Random(f"{self.seed}/answer/{number}")
        output = self.output_median * math.exp(draw.gauss(0.0, self.output_spread))
        return Request(
            f"r{number}", grid.tokens + self.text_tokens, max(1, round(output)), (image,)
        )

    def pixels(self, number: int) -> int:
        """Pixels of the page as it is sent."""
        width, height = self._size(number)
        return width * height

    def _size(self, number: int) -> tuple[int, int]:
        draw = random.Random(f"{self.seed}/page/{number}")
        pixels = self.median_pixels * math.exp(draw.gauss(0.0, self.pixels_spread))
        width = math.sqrt(pixels / self.aspect)
        return max(1, round(width)), max(1, round(width * self.aspect))
