"""What makes a configuration of a known family one that is not known after all.

A key that changes what stands in the KV cache is refused by name, and never passed over: a
llama-like ``model_type`` with a few linear layers would else get the cache of a plain llama.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocminfra.planning.model.spec import UnknownModelError

# What gives a hybrid away, whatever its name.
_STATE_KEYS = (
    "full_attention_interval",
    "linear_num_value_heads",
    "mamba_d_state",
    "mamba_num_heads",
    "ssm_state_size",
    "attn_layer_period",
    "layers_block_type",
    "hybrid_override_pattern",
)
# Other keys of Hugging Face configurations that change what a token keeps, and are not modelled.
_OTHER_KEYS = (
    "attention_chunk_size",
    "num_kv_shared_layers",
    "cla_share_factor",
    "index_topk",
    "cross_attention_layers",
    "is_encoder_decoder",
    "block_configs",
    "num_key_value_heads_per_layer",
)
# Keys of one family that make another of it: a llama with a latent vector, or with experts.
_FAMILYS_OWN = {
    "kv_lora_rank": ("deepseek_v2", "deepseek_v3"),
    "n_routed_experts": ("deepseek_v2", "deepseek_v3"),
    "num_experts": ("qwen3_moe",),
    "num_local_experts": ("mixtral",),
}
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}
# Files and configuration may differ by what is not loaded (inverse frequencies, layers that
# predict further tokens, a tied matrix that is saved twice), and never by more than this.
_LEAST_SHARE, _MOST_SHARE = 0.9, 1.5
# Bytes of a quantized weight: 2 bits are the fewest that anybody publishes.
_LEAST_QUANTIZED = 0.25
# Below it a difference decides nothing on any of the GPUs.
_SMALL_BYTES = 1024**3


def hybrid_traits(config: Mapping[str, Any]) -> list[str]:
    """What in ``config`` says that some layers keep a state instead of keys and values."""
    found = [key for key in _STATE_KEYS if config.get(key)]
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        found += sorted({str(kind) for kind in kinds} - _KNOWN_LAYERS)
    return found


def check_known_cache(name: str, config: Mapping[str, Any]) -> None:
    """Refuse what changes the KV cache of a known family in a way that is not modelled.

    + config: ``config.json``, its text part's keys on top
    """
    strange = hybrid_traits(config) + [key for key in _OTHER_KEYS if config.get(key)]
    family = config.get("model_type")
    strange += [key for key, own in _FAMILYS_OWN.items() if config.get(key) and family not in own]
    if strange:
        raise UnknownModelError(
            f"{name}: its configuration has {', '.join(strange)}, which changes what a token keeps "
            "in a way that is not known for this family; its KV cache is not guessed"
        )


def check_weights(
    name: str, weights_bytes: int, parameters: int, own_bytes: int, is_quantized: bool
) -> None:
    """Refuse files that cannot be those of the configuration: cut off, or of another type.

    + weights_bytes: of the files
    + own_bytes: of one weight, as the configuration says
    """
    stated = parameters * own_bytes
    least = parameters * _LEAST_QUANTIZED if is_quantized else stated * _LEAST_SHARE
    is_near = least <= weights_bytes <= stated * _MOST_SHARE
    if is_near or abs(weights_bytes - stated) < _SMALL_BYTES:
        return
    raise UnknownModelError(
        f"{name}: its safetensors files or their index have {weights_bytes / 1e9:,.1f} GB, and its "
        f"configuration describes {parameters / 1e9:,.2f} B parameters of {own_bytes} bytes: files "
        "are missing, or one of the two is another model's"
    )
