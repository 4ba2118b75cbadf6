"""Blocks, and how many of them the reference GPU has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.engine.gpus import MI300X
from rocminfra.planning.engine.kv_cache import (
    BLOCK_SIZE,
    REFERENCE_BLOCKS,
    REFERENCE_OVERHEAD_BYTES,
    REFERENCE_TOKENS,
    BlockPool,
    available_bytes,
    blocks_for,
)
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B

Moves = list[tuple[str, int]]


def test_the_reference_run_has_6590_blocks() -> None:
    available = available_bytes(MI300X.memory_bytes, 0.92, QWEN2_VL_72B.weights_bytes)
    block_bytes = BLOCK_SIZE * QWEN2_VL_72B.kv_bytes_per_token
    assert available // block_bytes == REFERENCE_BLOCKS == 6_590
    assert REFERENCE_TOKENS == 105_440
    assert round(available / 1024**3, 2) == 32.18
    assert round(REFERENCE_OVERHEAD_BYTES / 1024**3, 2) == 7.44


def test_weights_that_do_not_fit_leave_less_than_nothing() -> None:
    assert available_bytes(80 * 1024**3, 0.92, QWEN2_VL_72B.weights_bytes) < 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=40))
def test_blocks_are_conserved(moves: Moves) -> None:
    pool = BlockPool(10, 4)
    for holder, tokens in moves:
        before = pool.held_by(holder)
        lacking = max(0, blocks_for(tokens, 4) - before)
        if tokens == 0:
            assert pool.release(holder) == before
        elif pool.grow(holder, tokens):
            assert pool.held_by(holder) == before + lacking >= blocks_for(tokens, 4)
        else:
            assert pool.held_by(holder) == before
            assert lacking > pool.free
        assert pool.used == sum(pool.held_by(name) for name in "abc")
        assert 0 <= pool.used <= pool.usable == 9
        assert 0 <= pool.usage <= 1


@pytest.mark.parametrize(("blocks", "size"), [(1, 16), (0, 16), (5, 0)])
def test_a_cache_without_a_usable_block_is_no_cache(blocks: int, size: int) -> None:
    with pytest.raises(ValueError, match="KV cache"):
        BlockPool(blocks, size)
