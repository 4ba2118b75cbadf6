"""One view of a checkpoint's configuration, whoever wrote it.

A decoder's keys stand at the top level or in a part of their own; transformers 5 writes ``dtype``
for ``torch_dtype`` and ``rope_parameters`` for ``rope_scaling`` and ``rope_theta``, and keeps what
concerns the whole model (``tie_word_embeddings``) at the top only. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.model.quantization import TEXT_KEYS, Quantization, find_quantization
from rocminfra.planning.model.spec import UnknownModelError

# What a family with a decoder of its own accepts there; the others name none, or themselves.
_TEXT_TYPES: dict[str, tuple[str, ...]] = {
    "gemma3": ("gemma3", "gemma3_text"),
    "mistral3": ("mistral",),
    "qwen2_5_vl": ("qwen2", "qwen2_5_vl", "qwen2_5_vl_text"),
    "qwen2_vl": ("qwen2", "qwen2_vl", "qwen2_vl_text"),
}


@dataclass(frozen=True)
class Checkpoint:
    """What a ``config.json`` and the files beside it say.

    + model_type: of the whole model
    + text: of its decoder, under the keys of transformers 4, with what only the top level says
    + vision: of its image encoder, or None
    + other: for the encoder: the whole configuration, the decoder's keys and the image processor's
    + dtype: of its weights where it says so
    + quantization: None when it is not quantized
    """

    model_type: str
    text: Mapping[str, Any]
    vision: Any
    other: Mapping[str, Any]
    dtype: Any
    quantization: Quantization | None


def read_checkpoint(
    config: Mapping[str, Any],
    name: str,
    *,
    processor: Mapping[str, Any] | None = None,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
    stored_types: Mapping[str, int] | None = None,
) -> Checkpoint:
    """The one view.

    + config: ``config.json``
    + name: how the model is called in messages
    + processor: ``preprocessor_config.json``
    + beside, stored_types: see :func:`~.quantization.find_quantization`

    Raises :class:`UnknownModelError` for a decoder that its family does not have, and for a
    quantization that is not known.
    """
    model_type = str(config.get("model_type", ""))
    nested = _nested(config)
    text_type = None if nested is None else nested.get("model_type")
    known = _TEXT_TYPES.get(model_type)
    if known is not None and text_type is not None and text_type not in known:
        raise UnknownModelError(
            f"{name}: a {model_type} whose decoder is a {text_type!r} is not known, and its KV "
            "cache is not guessed"
        )
    text = config if nested is None else {**_plain(config), **nested}
    return Checkpoint(
        model_type=model_type,
        text=text,
        vision=config.get("vision_config"),
        other={**config, **text, **(processor or {})},
        dtype=_dtype(config, text),
        quantization=find_quantization(name, config, beside, stored_types),
    )


def _nested(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for key in TEXT_KEYS:
        nested = config.get(key)
        if isinstance(nested, Mapping):
            return nested
    return None


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the top level says of the whole model: no parts of its own."""
    return {key: value for key, value in config.items() if not isinstance(value, (Mapping, list))}


def _dtype(config: Mapping[str, Any], text: Mapping[str, Any]) -> Any:
    # The top level first, as vLLM has it; a key without a value says nothing.
    for source in (config, text):
        for key in ("dtype", "torch_dtype"):
            if source.get(key) is not None:
                return source[key]
    return None
