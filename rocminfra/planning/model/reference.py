"""The model of the reference run, which is the default of the commands.

The values are from ``config.json`` and ``preprocessor_config.json`` of Qwen/Qwen2-VL-72B-Instruct.
Standard library only.
"""

from __future__ import annotations

from typing import Any

REFERENCE_NAME = "Qwen/Qwen2-VL-72B-Instruct"

REFERENCE_CONFIG: dict[str, Any] = {
    "model_type": "qwen2_vl",
    "hidden_size": 8_192,
    "intermediate_size": 29_568,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32_768,
    "max_window_layers": 80,
    "sliding_window": 32_768,
    "use_sliding_window": False,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 152_064,
    "vision_config": {
        "depth": 32,
        "embed_dim": 1_280,
        "mlp_ratio": 4,
        "hidden_size": 8_192,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
REFERENCE_PROCESSOR: dict[str, Any] = {"min_pixels": 3_136, "max_pixels": 12_845_056}
