"""Engines and requests that Hypothesis draws."""

from __future__ import annotations

from hypothesis import strategies as st

from rocminfra.planning.engine.request import ImageSpan, Request
from rocminfra.planning.engine.scheduler import SchedulerConfig


@st.composite
def configs(draw: st.DrawFn) -> SchedulerConfig:
    """Small engines, so that blocks, places and budget run out."""
    seqs = draw(st.integers(1, 6))
    return SchedulerConfig(
        num_gpu_blocks=draw(st.integers(3, 30)),
        block_size=draw(st.sampled_from([1, 4, 16])),
        max_num_seqs=seqs,
        max_num_batched_tokens=draw(st.integers(seqs, 64)),
        max_model_len=draw(st.integers(8, 120)),
        encoder_tokens=draw(st.integers(1, 40)),
        enable_chunked_prefill=draw(st.booleans()),
        reserve_full_prompt=draw(st.booleans()),
    )


@st.composite
def images_of(draw: st.DrawFn, prompt_tokens: int, largest: int) -> tuple[ImageSpan, ...]:
    """Images inside a prompt, none larger than ``largest``."""
    images: list[ImageSpan] = []
    position = 0
    for _ in range(draw(st.integers(0, 3))):
        left = prompt_tokens - position
        if left < 1:
            break
        offset = position + draw(st.integers(0, left - 1))
        tokens = draw(st.integers(1, min(largest, prompt_tokens - offset)))
        images.append(ImageSpan(offset, tokens, tokens * 4))
        position = offset + tokens
    return tuple(images)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[SchedulerConfig, list[tuple[float, Request]]]:
    """An engine, and requests with times of arrival that it can all serve."""
    config = draw(configs())
    most = config.most_tokens
    if not config.enable_chunked_prefill:
        most = min(most, config.max_num_batched_tokens)
    arrivals: list[tuple[float, Request]] = []
    if most < 2:
        return config, arrivals
    for index in range(draw(st.integers(1, 10))):
        prompt = draw(st.integers(1, most - 1))
        output = draw(st.integers(1, most - prompt))
        images = draw(images_of(prompt, config.encoder_tokens))
        at = draw(st.floats(0, 5))
        arrivals.append((at, Request(f"r{index}", prompt, output, images)))
    return config, arrivals
