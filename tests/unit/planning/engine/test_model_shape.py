"""The reference model's figures, and images as tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.engine.model_shape import (
    QWEN2_VL_72B,
    VisionShape,
    image_grid,
    image_tokens,
)

VISION = QWEN2_VL_72B.vision or VisionShape(1, 1, 1)


def test_the_reference_model() -> None:
    assert round(QWEN2_VL_72B.weights_bytes / 1024**3, 2) == 136.73
    assert round(QWEN2_VL_72B.weights_bytes / 1e9, 2) == 146.81
    assert QWEN2_VL_72B.kv_bytes_per_token == 327_680


@pytest.mark.parametrize(
    ("width", "height", "cap", "tokens"),
    [
        (1_700, 2_200, None, 4_819),
        (1_700, 2_200, 1_003_520, 1_240),
        (28, 28, None, 4),  # grown to the 56 x 56 that is the least
        (1, 1, None, 4),
        (224, 224, None, 64),
        (10_000, 10_000, None, 16_129),  # 127.99… rows: floating point, in the original too
        (3_584, 3_584, None, 16_384),
    ],
)
def test_images_as_qwens_processor_cuts_them(
    width: int, height: int, cap: int | None, tokens: int
) -> None:
    assert image_tokens(width, height, VISION, cap) == tokens


@given(st.integers(1, 5_000), st.integers(1, 5_000), st.sampled_from([None, 1_003_520, 200_704]))
def test_no_image_has_more_tokens_than_its_cap(width: int, height: int, cap: int | None) -> None:
    if max(width, height) / min(width, height) > 200:
        with pytest.raises(ValueError, match="aspect ratio"):
            image_grid(width, height, VISION, cap)
        return
    grid = image_grid(width, height, VISION, cap)
    assert grid.patches == 4 * grid.tokens
    # Rounding a very long image up to one row of tokens may pass the cap by that row.
    assert 1 <= grid.tokens <= (cap or VISION.max_pixels) // 784 + max(width, height) // 28 + 1


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (10, 2_001)])
def test_images_that_are_none_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=r"image of|aspect ratio"):
        image_grid(width, height, VISION)
