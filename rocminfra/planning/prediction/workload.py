"""The requests of a benchmark: sizes only, deterministic for a given seed.

Standard library only.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol

from rocminfra.planning.engine.kv_cache import BLOCK_SIZE
from rocminfra.planning.engine.model_shape import VisionShape, image_grid
from rocminfra.planning.engine.request import ImageSpan, Request

# Standard deviation of the logarithm of a question's tokens, and the shape of answers' lengths.
_QUESTION_SIGMA = 1.2
_ANSWER_SHAPE = 1.2


def cached(prompt_tokens: int, share: float) -> int:
    """Tokens of a prompt that the prefix cache holds: whole blocks, and never all of them."""
    tokens = int(prompt_tokens * share) // BLOCK_SIZE * BLOCK_SIZE
    return min(tokens, (prompt_tokens - 1) // BLOCK_SIZE * BLOCK_SIZE)


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

    + prompt_tokens, output_tokens: of every request
    + template_tokens: what the chat template adds; 19 in the reference run (8,211 for 8,192)
    + prompt_stdev, output_stdev: standard deviations of normal distributions, cut off at one token,
      as GuideLLM draws lengths; 0 for all the same
    + prefix_share: share of the prompt that the prefix cache holds
    + seed: another one is another draw of lengths
    """

    prompt_tokens: int
    output_tokens: int
    template_tokens: int = 19
    prompt_stdev: float = 0.0
    output_stdev: float = 0.0
    prefix_share: float = 0.0
    seed: int = 42

    def request(self, number: int) -> Request:
        """The request with this number."""
        prompt = self._drawn("prompt", number, self.prompt_tokens, self.prompt_stdev)
        output = self._drawn("output", number, self.output_tokens, self.output_stdev)
        prompt += self.template_tokens
        return Request(
            f"r{number}", prompt, output, cached_tokens=cached(prompt, self.prefix_share)
        )

    def _drawn(self, what: str, number: int, mean: int, stdev: float) -> int:
        if stdev == 0:
            return mean
        return max(1, round(random.Random(f"{self.seed}/{what}/{number}").gauss(mean, stdev)))

    def pixels(self, number: int) -> int:
        """None: there are no images."""
        return 0


@dataclass(frozen=True)
class ChatText:
    """Questions and answers of people, as in ShareGPT: many short ones and a few long ones.

    Questions are log-normal; vLLM's benchmark leaves out those below 4 and above 1,024 tokens.
    Answers end more evenly (Weibull): published runs of a thousand end a quarter of their time
    after the last was admitted, which a heavier tail would not.

    + prompt_mean, output_mean: tokens of a request
    + most_output: at which answers are cut off
    + seed: another one is another draw
    """

    prompt_mean: float
    output_mean: float
    most_output: int = 1_024
    seed: int = 42

    def request(self, number: int) -> Request:
        """The request with this number."""
        prompt = self._draw("prompt", number).gauss(0.0, _QUESTION_SIGMA)
        # Cutting off the long tail takes about a fifth off the mean of this distribution.
        median = 1.2 * self.prompt_mean * math.exp(-(_QUESTION_SIGMA**2) / 2)
        scale = self.output_mean / math.gamma(1 + 1 / _ANSWER_SHAPE)
        output = self._draw("output", number).weibullvariate(scale, _ANSWER_SHAPE)
        return Request(
            f"r{number}",
            round(min(1_024, max(4, median * math.exp(prompt)))),
            round(min(self.most_output, max(4, output))),
        )

    def pixels(self, number: int) -> int:
        """None: there are no images."""
        return 0

    def _draw(self, what: str, number: int) -> random.Random:
        return random.Random(f"{self.seed}/{what}/{number}")


@dataclass(frozen=True)
class ScannedPages:
    """Questions about scanned pages, as in DocVQA.

    + vision: how pages become tokens
    + max_pixels: cap on a page's pixels, None for the model's own
    + median_pixels: median pixels of a page; 3.86 million is published
    + pixels_spread: standard deviation of the logarithm of a page's pixels
    + aspect: height over width; US letter paper
    + text_tokens: question and chat template; what the published median of 4,996 leaves for them
    + output_median, output_spread: of an answer's tokens; 19 is published
    + seed: another one is another draw of pages and answers
    + prefix_share: share of the prompt, image included, that the prefix cache holds
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
    prefix_share: float = 0.0

    def request(self, number: int) -> Request:
        """The request with this number."""
        width, height = self._size(number)
        grid = image_grid(width, height, self.vision, self.max_pixels)
        before = self.text_tokens // 3
        image = ImageSpan(before, grid.tokens, grid.patches)
        draw = random.Random(f"{self.seed}/answer/{number}")
        output = self.output_median * math.exp(draw.gauss(0.0, self.output_spread))
        prompt = grid.tokens + self.text_tokens
        return Request(
            f"r{number}",
            prompt,
            max(1, round(output)),
            (image,),
            cached(prompt, self.prefix_share),
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
