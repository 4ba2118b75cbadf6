"""KV cache: its blocks, their holders, and how many fit on the reference GPU.

Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

# vLLM's own default on ROCm, and the one of the reference run (105,440 tokens, 6,590 blocks).
BLOCK_SIZE = 16
REFERENCE_BLOCKS = 6_590
REFERENCE_TOKENS = REFERENCE_BLOCKS * BLOCK_SIZE
# Memory besides weights and KV in the reference run: activations, graphs, the encoder's cache,
# buffers outside of torch. Calibrated, not derived: 196,288 MiB x 0.92 minus 136.73 GiB of weights
# minus the 6,590 blocks that the engine reported gives 7.4414 to 7.4463 GiB.
REFERENCE_OVERHEAD_BYTES = int(7.4445 * 1024**3)


def blocks_for(tokens: int, block_size: int = BLOCK_SIZE) -> int:
    """Blocks needed for ``tokens`` tokens of one sequence."""
    return -(-tokens // block_size)


def available_bytes(
    memory_bytes: int,
    utilization: float,
    weights_bytes: int,
    overhead_bytes: int = REFERENCE_OVERHEAD_BYTES,
) -> int:
    """Bytes on a GPU for its KV cache; negative if the weights do not fit.

    + memory_bytes: memory of the GPU as its driver reports it
    + utilization: share of it that the engine may use (``--gpu-memory-utilization``)
    + weights_bytes: size of the weights on this GPU
    + overhead_bytes: everything that is neither weights nor KV
    """
    return int(memory_bytes * utilization) - weights_bytes - overhead_bytes


class BlockPool:
    """The blocks of a KV cache, counted per holder. It never hands out more than exist.

    Like vLLM, it reserves one block as the "null block": of 6,590 blocks 6,589 are usable, and the
    usage is a share of those.

    + num_blocks: blocks of the cache, including the null block; at least 2
    + block_size: tokens per block
    """

    def __init__(self, num_blocks: int, block_size: int = BLOCK_SIZE) -> None:
        if num_blocks < 2 or block_size < 1:
            raise ValueError(
                f"a KV cache needs 2 blocks of 1 token or more, not {num_blocks} of {block_size}"
            )
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.usable = num_blocks - 1
        self.free = self.usable
        self._held: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Blocks in use."""
        return self.usable - self.free

    @property
    def usage(self) -> float:
        """Share of the usable blocks in use, 0 to 1 (``vllm:kv_cache_usage_perc``)."""
        return self.used / self.usable

    def held_by(self, holder: str) -> int:
        """Number of blocks that ``holder`` has."""
        return self._held.get(holder, 0)

    def grow(self, holder: str, tokens: int) -> bool:
        """Give ``holder`` enough blocks for ``tokens`` tokens. Returns False and changes nothing if
        there are too few."""
        held = self._held.get(holder, 0)
        lacking = -(-tokens // self.block_size) - held
        if lacking <= 0:
            return True
        if lacking > self.free:
            return False
        self.free -= lacking
        self._held[holder] = held + lacking
        return True

    def release(self, holder: str) -> int:
        """Take back all blocks of ``holder`` and return their number."""
        blocks = self._held.pop(holder, 0)
        self.free += blocks
        return blocks
