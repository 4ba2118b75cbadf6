"""How the published reference run served its model: the one home of these defaults.

Settings, the planner and the engine simulator all begin from here. Standard library only: the
simulator's image carries this file.
"""

from __future__ import annotations

# Flags of `vllm serve` in the reference run (Qwen2-VL-72B, bf16, one MI300X, vLLM 0.20.1).
GPU_MEMORY_UTILIZATION = 0.92
MAX_MODEL_LEN = 16_384
MAX_NUM_SEQS = 64
MAX_NUM_BATCHED_TOKENS = 8_192
# Price of its node, dollars an hour.
USD_PER_HOUR = 1.99
