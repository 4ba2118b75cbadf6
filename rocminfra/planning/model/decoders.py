"""Decoders of the known families: cache layers, and weights counted tensor by tensor.

Every function takes the text part of a ``config.json``. KeyError means that a key is missing.
Sources: the modelling classes of Hugging Face transformers. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.engine.model_shape import Experts
from rocminfra.planning.model.kv_layers import KvLayer, LayerKind
from rocminfra.planning.model.spec import UnknownModelError

Config = Mapping[str, Any]
# Ten times the deepest published model. Each layer becomes an object, so a typo must not create ten
# million of them.
_MOST_LAYERS = 2_000


@dataclass(frozen=True)
class Decoder:
    """What a family's function returns; see :class:`~rocminfra.planning.model.spec.ModelSpec`."""

    parameters: int
    embedding: int
    head: int
    heads: int
    hidden: int
    layers: tuple[KvLayer, ...]
    attention_values: int
    activation_values: int
    experts: Experts | None = None


def layer_count(config: Config) -> int:
    """Number of layers; raises ValueError for an implausible number."""
    count = int(config["num_hidden_layers"])
    if not 0 < count <= _MOST_LAYERS:
        raise ValueError(f"num_hidden_layers is {count}")
    return count


def _window(config: Config) -> int | None:
    """Tokens that a layer attends to, or None for all of them."""
    window = config.get("sliding_window")
    return None if window is None else int(window)


def llama(config: Config) -> Decoder:
    """Llama and Mistral: grouped-query attention; Mistral 7B v0.1 with a window in all layers."""
    windows = _typed(config) or [_window(config)] * layer_count(config)
    return _grouped(config, windows, qkv_bias=bool(config.get("attention_bias", False)))


def qwen2(config: Config) -> Decoder:
    """Qwen2, Qwen2.5 and the decoders of their VL models: biases on queries, keys and values."""
    return _grouped(config, _qwen_windows(config), qkv_bias=True)


def qwen3(config: Config) -> Decoder:
    """Qwen3: no biases, and a norm on the heads of queries and keys."""
    bias = bool(config.get("attention_bias", False))
    return _grouped(config, _qwen_windows(config), qkv_bias=bias, head_norms=True)


def qwen3_moe(config: Config) -> Decoder:
    """Qwen3 with routed experts in every layer."""
    if config.get("decoder_sparse_step", 1) != 1 or config.get("mlp_only_layers"):
        raise UnknownModelError(
            "dense layers among the expert layers (mlp_only_layers) are not supported"
        )
    hidden, layers = int(config["hidden_size"]), layer_count(config)
    count = int(config["num_experts"])
    expert = 3 * hidden * int(config["moe_intermediate_size"])
    experts = Experts(count, int(config["num_experts_per_tok"]), layers * count * expert)
    return _grouped(
        config,
        _qwen_windows(config),
        head_norms=True,
        feed_forward=hidden * count + count * expert,
        activation_values=_alive(hidden, int(config["moe_intermediate_size"]), experts.per_token),
        experts=experts,
    )


def mixtral(config: Config) -> Decoder:
    """Mixtral: eight experts, two per token."""
    hidden, layers = int(config["hidden_size"]), layer_count(config)
    count = int(config["num_local_experts"])
    expert = 3 * hidden * int(config["intermediate_size"])
    experts = Experts(count, int(config["num_experts_per_tok"]), layers * count * expert)
    return _grouped(
        config,
        [_window(config)] * layers,
        feed_forward=hidden * count + count * expert,
        activation_values=_alive(hidden, int(config["intermediate_size"]), experts.per_token),
        experts=experts,
    )


def gemma2(config: Config) -> Decoder:
    """Gemma 2: a window in every other layer, four norms per layer, tied embeddings."""
    layers = layer_count(config)
    window = int(config["sliding_window"])
    windows = _typed(config) or [window if index % 2 == 0 else None for index in range(layers)]
    return _grouped(config, windows, norms=4, tied_by_default=True)


def gemma3(config: Config) -> Decoder:
    """Gemma 3: five layers with a window for each one without, head norms, tied embeddings.

    Defaults are those of ``Gemma3TextConfig``, because published files omit them.
    """
    full = {
        "vocab_size": 262_208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "sliding_window": 4_096,
        **config,
    }
    pattern = int(full.get("sliding_window_pattern", 6))
    windows = _typed(full) or [
        None if (index + 1) % pattern == 0 else int(full["sliding_window"])
        for index in range(layer_count(full))
    ]
    return _grouped(full, windows, norms=4, head_norms=True, tied_by_default=True)


def deepseek(config: Config) -> Decoder:
    """DeepSeek V2 and V3: latent attention, shared and routed experts after a few dense layers."""
    if config.get("moe_layer_freq", 1) != 1:
        raise UnknownModelError(f"moe_layer_freq {config['moe_layer_freq']} is not supported")
    hidden, count = int(config["hidden_size"]), layer_count(config)
    heads, latent = int(config["num_attention_heads"]), int(config["kv_lora_rank"])
    rope, nope = int(config["qk_rope_head_dim"]), int(config["qk_nope_head_dim"])
    value = int(config["v_head_dim"])
    query_rank = config.get("q_lora_rank")
    query = hidden * heads * (nope + rope)
    if query_rank is not None:
        query = hidden * query_rank + query_rank + query_rank * heads * (nope + rope)
    key_value = hidden * (latent + rope) + latent + latent * heads * (nope + value)
    attention = query + key_value + heads * value * hidden
    dense_layers = int(config["first_k_dense_replace"])
    routed = int(config["n_routed_experts"])
    expert = 3 * hidden * int(config["moe_intermediate_size"])
    gate = hidden * routed + (routed if config.get("topk_method") == "noaux_tc" else 0)
    mixture = gate + (routed + int(config["n_shared_experts"])) * expert
    moe_layers = count - dense_layers
    dense = 3 * hidden * int(config["intermediate_size"])
    embedding, head = _embeddings(config, tied_by_default=False)
    layer = KvLayer(LayerKind.MLA, 1, latent + rope, 0)
    return Decoder(
        parameters=embedding
        + head
        + hidden
        + count * (attention + 2 * hidden)
        + dense_layers * dense
        + moe_layers * mixture,
        embedding=embedding,
        head=head,
        heads=heads,
        hidden=hidden,
        layers=(layer,) * count,
        attention_values=heads * (nope + rope + value),
        activation_values=max(
            _alive(hidden, int(config["intermediate_size"])),
            _alive(
                hidden,
                int(config["moe_intermediate_size"]),
                int(config["num_experts_per_tok"]) + int(config["n_shared_experts"]),
            ),
        ),
        experts=Experts(routed, int(config["num_experts_per_tok"]), moe_layers * routed * expert),
    )


def _grouped(
    config: Config,
    windows: list[int | None],
    *,
    qkv_bias: bool = False,
    head_norms: bool = False,
    norms: int = 2,
    feed_forward: int | None = None,
    activation_values: int | None = None,
    tied_by_default: bool = False,
    experts: Experts | None = None,
) -> Decoder:
    """A decoder with grouped-query attention and, by default, a gated feed-forward network."""
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    head_dim = int(config.get("head_dim") or hidden // heads)
    if heads % kv_heads:
        raise ValueError(f"{heads} heads of queries do not share {kv_heads} of keys and values")
    queries, keys = heads * head_dim, kv_heads * head_dim
    attention = hidden * queries + 2 * hidden * keys + queries * hidden
    if qkv_bias:
        attention += queries + 2 * keys
    if head_norms:
        attention += 2 * head_dim
    if feed_forward is None:
        feed_forward = 3 * hidden * int(config["intermediate_size"])
    embedding, head = _embeddings(config, tied_by_default)
    layers = tuple(
        KvLayer(
            LayerKind.FULL if window is None else LayerKind.SLIDING,
            kv_heads,
            head_dim,
            head_dim,
            window,
        )
        for window in windows
    )
    return Decoder(
        parameters=embedding
        + head
        + hidden
        + len(layers) * (attention + feed_forward + norms * hidden),
        embedding=embedding,
        head=head,
        heads=heads,
        hidden=hidden,
        layers=layers,
        attention_values=2 * queries,
        activation_values=activation_values or _alive(hidden, int(config["intermediate_size"])),
        experts=experts,
    )


def _embeddings(config: Config, tied_by_default: bool) -> tuple[int, int]:
    """Weights of the input embedding, and of the output head unless it is the same matrix.

    Every step reads a tied matrix completely as the head, so none of it counts as embedding.
    """
    table = int(config["vocab_size"]) * int(config["hidden_size"])
    if config.get("tie_word_embeddings", tied_by_default):
        return 0, table
    return table, table


def _alive(hidden: int, inner: int, experts: int = 1) -> int:
    """Values per token in memory at the same time in a gated feed-forward network: the residual and
    its norm, gate, up and their product, and one output per expert if there are several.

    + experts: number of experts per token
    """
    outputs = experts * hidden if experts > 1 else 0
    return 2 * hidden + 3 * experts * inner + outputs


def _qwen_windows(config: Config) -> list[int | None]:
    layers = layer_count(config)
    if not config.get("use_sliding_window", False):
        return [None] * layers
    window, first = int(config["sliding_window"]), int(config["max_window_layers"])
    return _typed(config) or [window if index >= first else None for index in range(layers)]


def _typed(config: Config) -> list[int | None] | None:
    """Windows according to ``layer_types``, or None if the configuration has none."""
    kinds = config.get("layer_types")
    if kinds is None:
        return None
    unknown = {str(kind) for kind in kinds} - {"full_attention", "sliding_attention"}
    if unknown:
        raise UnknownModelError(f"layers of type {', '.join(sorted(unknown))} are not supported")
    if len(kinds) != layer_count(config):
        raise UnknownModelError(
            f"layer_types has {len(kinds)} layers, but num_hidden_layers is {layer_count(config)}"
        )
    if "sliding_attention" not in kinds:
        return [None] * len(kinds)
    window = int(config["sliding_window"])
    return [window if kind == "sliding_attention" else None for kind in kinds]
