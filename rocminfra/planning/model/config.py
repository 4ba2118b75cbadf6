"""From a model's ``config.json`` to its figures; a family that is not known is refused.

Guesses go wrong elsewhere: a hybrid's state is not a KV cache, a latent vector is neither
doubled nor split, a window forgets. So every family here is named, counted tensor by tensor, and
checked against the parameters that its publisher states.

Sources: the configuration and modelling classes of Hugging Face transformers 4.57, and vLLM 0.20's
``model_executor/models``. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rocminfra.planning.model.checkpoint import Checkpoint, read_checkpoint
from rocminfra.planning.model.checks import check_known_cache, check_weights, hybrid_traits
from rocminfra.planning.model.config_values import check_values
from rocminfra.planning.model.decoders import (
    Decoder,
    deepseek,
    gemma2,
    gemma3,
    llama,
    mixtral,
    qwen2,
    qwen3,
    qwen3_moe,
)
from rocminfra.planning.model.spec import ModelSpec, UnknownModelError
from rocminfra.planning.model.vision_encoders import (
    Vision,
    gemma3_vision,
    mistral3_vision,
    qwen2_5_vl,
    qwen2_vl,
)

DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}

_DECODERS: dict[str, Callable[[Mapping[str, Any]], Decoder]] = {
    "llama": llama,
    "mistral": llama,
    "mistral3": llama,
    "mixtral": mixtral,
    "qwen2": qwen2,
    "qwen2_vl": qwen2,
    "qwen2_5_vl": qwen2,
    "qwen3": qwen3,
    "qwen3_moe": qwen3_moe,
    "deepseek_v2": deepseek,
    "deepseek_v3": deepseek,
    "gemma2": gemma2,
    "gemma3": gemma3,
    "gemma3_text": gemma3,
}
_VISION: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Vision]] = {
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "gemma3": gemma3_vision,
    "mistral3": mistral3_vision,
}
# A hundred times the largest published model.
_MOST_PARAMETERS = 10**14
_MOST_POSITIONS = 10**10

KNOWN_MODEL_TYPES = tuple(sorted(_DECODERS))


def read_model(
    config: Mapping[str, Any],
    name: str,
    *,
    weights_bytes: int | None = None,
    dtype: str = "auto",
    processor: Mapping[str, Any] | None = None,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
    stored_types: Mapping[str, int] | None = None,
) -> ModelSpec:
    """A model's figures.

    + config: its ``config.json``
    + name: how it is called in messages
    + weights_bytes: ``metadata.total_size`` of its safetensors index, or the sum of its tensors;
      without it the bytes follow from the configuration
    + dtype: as ``--dtype``: what weights are converted to while loading; ``auto`` keeps theirs
    + processor: its ``preprocessor_config.json``, which bounds an image's pixels
    + beside: other files beside it that may say how it is quantized, by name
    + stored_types: bytes of its tensors by their type, as the safetensors headers have it

    Raises :class:`UnknownModelError` for a family that is not known, a kind of layer that is not,
    a quantization that is not, a quantized model without ``weights_bytes``, files that cannot be
    this model's, and a configuration that lacks something.
    """
    checkpoint = read_checkpoint(
        config, name, processor=processor, beside=beside, stored_types=stored_types
    )
    model_type, text = checkpoint.model_type, checkpoint.text
    if model_type not in _DECODERS:
        raise UnknownModelError(_unknown(name, model_type, {**config, **text}))
    check_known_cache(name, {**config, **text})
    if model_type not in _VISION and checkpoint.vision is not None:
        raise UnknownModelError(f"{name}: a {model_type} with a vision_config is not known")
    check_values(name, checkpoint.other, checkpoint.vision)
    try:
        decoder = _DECODERS[model_type](text)
        vision = Vision()
        if model_type in _VISION:
            vision = _VISION[model_type](_encoder(checkpoint), checkpoint.other)
        position = _max_position(model_type, text)
    except KeyError as error:
        raise UnknownModelError(f"{name}: its configuration has no {error.args[0]}") from None
    except UnknownModelError as error:
        raise UnknownModelError(f"{name}: {error}") from None
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise UnknownModelError(f"{name}: its configuration cannot be read: {error}") from None
    _check_sane(name, decoder, vision, position)
    parameters = decoder.parameters + vision.parameters
    loaded, basis, dtype_bytes = _weights(name, checkpoint, parameters, weights_bytes, dtype)
    quantization = checkpoint.quantization
    auto_kv_bytes = 2 if quantization is None else quantization.kv_bytes
    return ModelSpec(
        name=name,
        model_type=model_type,
        parameters=parameters,
        embedding_parameters=decoder.embedding,
        weights_bytes=loaded,
        weights_basis=basis,
        dtype_bytes=dtype_bytes,
        heads=decoder.heads,
        hidden=decoder.hidden,
        layers=decoder.layers,
        attention_values=decoder.attention_values,
        max_position=position,
        head_parameters=decoder.head,
        activation_values=decoder.activation_values,
        experts=decoder.experts,
        vision=vision.shape,
        vision_parameters=vision.parameters,
        image_tokens=vision.image_tokens,
        prescribes_kv_type=auto_kv_bytes is None,
        auto_kv_bytes=2 if auto_kv_bytes is None else auto_kv_bytes,
    )


def _check_sane(name: str, decoder: Decoder, vision: Vision, position: int) -> None:
    """Refuse a configuration whose numbers describe nothing."""
    least = [
        *(decoder.heads, decoder.hidden, decoder.attention_values, position),
        *(value for layer in decoder.layers for value in (layer.kv_heads, layer.values())),
        *(layer.window for layer in decoder.layers if layer.window is not None),
    ]
    if decoder.experts is not None:
        least += [decoder.experts.per_token, decoder.experts.parameters]
        least.append(decoder.experts.count - decoder.experts.per_token + 1)
    if vision.shape is not None:
        least += [vision.shape.patch, vision.shape.merge, vision.shape.layers, vision.parameters]
        least += [vision.shape.max_pixels - vision.shape.min_pixels + 1]
    is_sane = (
        bool(decoder.layers)
        and min(least) > 0
        and decoder.embedding < decoder.parameters
        and decoder.parameters + vision.parameters < _MOST_PARAMETERS
        and position < _MOST_POSITIONS
    )
    if not is_sane:
        raise UnknownModelError(f"{name}: its configuration has numbers that describe no model")


def _max_position(model_type: str, text: Mapping[str, Any]) -> int:
    """Longest length, as vLLM derives it from a configuration.

    Stretched rotary embeddings multiply it, unless their kind has the stretch in it already, as
    Gemma 3's length has; yarn multiplies the length before the stretch, which it names.
    Source: ``_get_and_verify_max_len`` of ``vllm/config/model.py``.
    """
    if model_type.startswith("gemma3"):
        # Published files leave out the default of Gemma3TextConfig.
        return int(text.get("max_position_embeddings", 131_072))
    position = int(text["max_position_embeddings"])
    factor = 1.0
    for rope in _rotary(text):
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind in ("llama3", "longrope", "su"):
            continue
        factor = float(rope.get("factor") or factor)
        if kind == "yarn":
            position = int(rope["original_max_position_embeddings"])
    return int(position * factor)


def _rotary(text: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is said of rotary embeddings: under the old key, the new one, or the new one with a
    part for each kind of layer."""
    found = text.get("rope_scaling") or text.get("rope_parameters") or {}
    parts = [part for part in found.values() if isinstance(part, Mapping)]
    return parts or [found]


def _encoder(checkpoint: Checkpoint) -> Any:
    if checkpoint.vision is None:
        raise KeyError("vision_config")
    return checkpoint.vision


def _unknown(name: str, model_type: str, config: Mapping[str, Any]) -> str:
    known = ", ".join(KNOWN_MODEL_TYPES)
    state = hybrid_traits(config)
    if state:
        return (
            f"{name}: model_type {model_type!r} is a hybrid ({', '.join(state)}): some of its "
            "layers keep a state for each sequence and no keys and values, so that a figure for "
            f"its KV cache would be a guess; known are {known}"
        )
    return (
        f"{name}: model_type {model_type!r} is not known, and its KV cache is not guessed; known "
        f"are {known}"
    )


def _own_dtype_bytes(dtype: Any, name: str) -> int:
    if dtype is None:
        return DTYPE_BYTES["bfloat16"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise UnknownModelError(f"{name}: its weights have the unknown type {dtype!r}")
    return DTYPE_BYTES[dtype]


def _weights(
    name: str, checkpoint: Checkpoint, parameters: int, weights_bytes: int | None, dtype: str
) -> tuple[int, str, int]:
    """Bytes as loaded, where they come from, and bytes of one weight."""
    own_bytes = _own_dtype_bytes(checkpoint.dtype, name)
    if dtype != "auto" and dtype not in DTYPE_BYTES:
        raise UnknownModelError(f"{name}: dtype {dtype!r} is none of {', '.join(DTYPE_BYTES)}")
    # Like vLLM, which loads float32 checkpoints as bfloat16 unless told otherwise.
    wanted = min(own_bytes, 2) if dtype == "auto" else DTYPE_BYTES[dtype]
    quantization = checkpoint.quantization
    if weights_bytes is not None:
        check_weights(name, weights_bytes, parameters, own_bytes, quantization is not None)
    if quantization is not None:
        if weights_bytes is None:
            raise UnknownModelError(
                f"{name} is quantized ({quantization.method}), as its {quantization.place} says: "
                "the size of its weights stands in its safetensors files or their index only, and "
                "neither is there"
            )
        return weights_bytes, "safetensors", max(1, round(weights_bytes / parameters))
    if weights_bytes is None:
        return parameters * wanted, "computed", wanted
    return weights_bytes * wanted // own_bytes, "safetensors", wanted
