"""What a layer stores in the KV cache, and how layers of several kinds share its blocks.

Formulas: ``vllm/v1/kv_cache_interface.py`` and ``vllm/v1/core/kv_cache_utils.py`` of vLLM 0.20.
Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from rocminfra.planning.engine.kv_cache import BLOCK_SIZE, blocks_for


class LayerKind(Enum):
    """A layer's kind of attention, as far as the cache is concerned."""

    FULL = "full attention"
    SLIDING = "sliding window"
    MLA = "multi-head latent attention"


@dataclass(frozen=True)
class KvLayer:
    """One layer.

    + kind: its kind of attention
    + kv_heads: heads of keys and values; 1 for MLA, whose latent vector all heads share
    + head_size: size of one head's key; for MLA, latent and rotary part together
    + head_size_v: size of one head's value; 0 for MLA, which stores no separate values
    + window: tokens of a sliding window, None without one
    """

    kind: LayerKind
    kv_heads: int
    head_size: int
    head_size_v: int
    window: int | None = None

    def values(self, tensor_parallel: int = 1) -> int:
        """Values that a token stores on one GPU.

        Heads are split across GPUs, and repeated if there are fewer heads than GPUs; every GPU
        stores MLA's latent vector once.
        """
        heads = max(1, self.kv_heads // tensor_parallel)
        return heads * (self.head_size + self.head_size_v)

    def blocks(self, tokens: int, batched_tokens: int, block_size: int = BLOCK_SIZE) -> int:
        """Blocks that a sequence of ``tokens`` takes in this layer at the most.

        A window stores its last tokens and those that a step adds, plus one block because it may
        begin in the middle of a block.

        + batched_tokens: ``max-num-batched-tokens``, the most that one step adds
        """
        if self.window is None:
            return blocks_for(tokens, block_size)
        return blocks_for(min(self.window - 1 + batched_tokens, tokens), block_size) + 1


@dataclass(frozen=True)
class KvLayout:
    """How all layers share one pool of blocks: groups of equal size, each with a block table.

    + groups: one layer of each group
    + group_size: layers per group; shorter groups are padded, which wastes their share
    """

    groups: tuple[KvLayer, ...]
    group_size: int

    def block_bytes(
        self, dtype_bytes: int, tensor_parallel: int = 1, block_size: int = BLOCK_SIZE
    ) -> int:
        """Bytes of one block on one GPU."""
        values = max(layer.values(tensor_parallel) for layer in self.groups)
        return block_size * values * dtype_bytes * self.group_size

    def blocks(self, tokens: int, batched_tokens: int, block_size: int = BLOCK_SIZE) -> int:
        """Blocks that a sequence of ``tokens`` takes at the most."""
        return sum(layer.blocks(tokens, batched_tokens, block_size) for layer in self.groups)


def layout(layers: Sequence[KvLayer]) -> KvLayout:
    """Group layers like vLLM's hybrid allocator.

    Layers of one kind make one group. With several kinds a group has as many layers as the rarest
    kind, unless the kinds are nearly balanced (the most frequent below 1.25 times the rarest).
    Raises ValueError if layers differ in bytes per token: vLLM then changes block sizes, which is
    not modelled.
    """
    if not layers:
        raise ValueError("the model has no layers")
    counts = Counter(layers)
    if len({layer.values() for layer in counts}) > 1:
        raise ValueError("layers that store different numbers of values per token are not modelled")
    least, most = min(counts.values()), max(counts.values())
    group_size = most if most < least * 1.25 else least
    groups = [layer for layer, count in counts.items() for _ in range(-(-count // group_size))]
    return KvLayout(tuple(groups), group_size)
