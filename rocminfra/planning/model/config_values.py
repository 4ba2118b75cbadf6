"""Whether the values of a ``config.json`` are of the kind that their keys take.

``"32"``, ``true`` and ``4096.7`` can all be made into a whole number, and ``"false"`` into true: a
figure computed from them would look like any other. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocminfra.planning.model.spec import UnknownModelError

# A thousand times the longest context and the widest layer of a published model.
_MOST = 10**10
# Whole numbers, and the least that each may be.
_TEXT: Mapping[str, int] = {
    **dict.fromkeys(("hidden_size", "intermediate_size", "moe_intermediate_size"), 1),
    **dict.fromkeys(("num_hidden_layers", "num_attention_heads", "num_key_value_heads"), 1),
    **dict.fromkeys(("head_dim", "vocab_size", "max_position_embeddings"), 1),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 0),
    **dict.fromkeys(("num_experts_per_tok", "n_shared_experts", "first_k_dense_replace"), 0),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "v_head_dim"), 1),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "sliding_window_pattern"), 1),
    **dict.fromkeys(("max_window_layers", "mm_tokens_per_image", "spatial_merge_size"), 0),
    "sliding_window": 1,
    **dict.fromkeys(("decoder_sparse_step", "min_pixels", "max_pixels"), 1),
}
_VISION: Mapping[str, int] = {
    **dict.fromkeys(("depth", "embed_dim", "hidden_size", "intermediate_size"), 1),
    **dict.fromkeys(("num_hidden_layers", "out_hidden_size", "patch_size", "image_size"), 1),
    **dict.fromkeys(("spatial_merge_size", "temporal_patch_size", "window_size"), 1),
    **dict.fromkeys(("num_channels", "in_channels", "in_chans"), 1),
}
_FLAGS = (
    *("attention_bias", "tie_word_embeddings", "use_sliding_window", "multimodal_projector_bias"),
    "is_encoder_decoder",
)
_LISTS = ("layer_types", "fullatt_block_indexes", "mlp_only_layers")
_ROPE_NUMBERS = ("factor", "original_max_position_embeddings")


def check_values(name: str, whole: Mapping[str, Any], vision: Any) -> None:
    """Refuse values of a kind that their keys do not take; null is as good as nothing.

    + name: how the model is called in messages
    + whole: its configuration with the keys of its decoder and of its image processor on top
    + vision: configuration of its image encoder, if it has one

    Raises :class:`UnknownModelError`.
    """
    encoder = vision if isinstance(vision, Mapping) else {}
    if vision is not None and encoder is not vision:
        raise UnknownModelError(f"{name}: its configuration has a vision_config without keys")
    for part, wholes, prefix in ((whole, _TEXT, ""), (encoder, _VISION, "vision_config.")):
        for key, least in wholes.items():
            _refuse(name, f"{prefix}{key}", part.get(key), _is_whole(part.get(key), least))
        for key in _FLAGS:
            value = part.get(key)
            _refuse(name, f"{prefix}{key}", value, value in (0, 1) and not _is_real(value))
        for key in _LISTS:
            _refuse(name, f"{prefix}{key}", part.get(key), isinstance(part.get(key), (list, tuple)))
    ratio = encoder.get("mlp_ratio")
    _refuse(name, "vision_config.mlp_ratio", ratio, _is_positive(ratio))
    for key in ("rope_scaling", "rope_parameters"):
        found = whole.get(key)
        _refuse(name, key, found, isinstance(found, Mapping))
        for part in (found, *found.values()) if isinstance(found, Mapping) else ():
            for number in _ROPE_NUMBERS if isinstance(part, Mapping) else ():
                value = part.get(number)
                _refuse(name, f"{key}.{number}", value, _is_positive(value))


def _refuse(name: str, key: str, value: Any, is_right: bool) -> None:
    if value is not None and not is_right:
        shown = repr(value)
        more = "…" if len(shown) > 40 else ""
        raise UnknownModelError(
            f"{name}: its configuration says {key} = {shown[:40]}{more}, which cannot be"
        )


def _is_whole(value: Any, least: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return least <= value < _MOST and value == int(value)


def _is_positive(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 < value < _MOST


def _is_real(value: Any) -> bool:
    return isinstance(value, float)
