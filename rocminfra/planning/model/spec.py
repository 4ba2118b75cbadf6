"""A model as capacity and prediction need it, whatever its family.

Standard library only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rocminfra.planning.engine.model_shape import Experts, ModelShape, VisionShape
from rocminfra.planning.model.kv_layers import KvLayer, LayerKind

# Below it, ``dtype_bytes`` no longer says what a step reads.
_LEAST_SHARE = 0.75


class UnknownModelError(ValueError):
    """A model whose figures would have to be guessed; the text names what is unknown."""


class PredictionUnsupportedError(ValueError):
    """A model whose capacity is known and whose latency is not modelled."""


@dataclass(frozen=True)
class ModelSpec:
    """A model.

    + name: repository or folder
    + model_type: of its ``config.json``
    + parameters: all of them, vision included
    + embedding_parameters: the input embedding, of which a step reads a few rows only
    + weights_bytes: of all weights as they are loaded
    + weights_basis: where that comes from, ``safetensors`` or ``computed``
    + dtype_bytes: of one weight
    + heads: of queries
    + hidden: size of the residual stream
    + layers: what each keeps in the cache
    + attention_values: width of keys and values in attention, summed over heads (FLOPs)
    + head_parameters: the output head, which only sampled tokens pass
    + activation_values: numbers of one token that are in memory at once while a layer computes
    + experts: routed experts, or None for a dense model
    + vision: encoder of the Qwen2-VL kind, or None
    + vision_parameters: weights of encoder and projector, whatever their kind
    + image_tokens: fixed number of tokens an image has, for families that have one
    + max_position: longest length that the configuration allows
    + prescribes_kv_type: whether the weights' own quantization says what the KV cache is kept in,
      in a way that the engine's ``auto`` is not known to follow
    + auto_kv_bytes: of one value of the KV cache when its type is left to ``auto``: 2, or 1 where
      the weights' own quantization says fp8
    """

    name: str
    model_type: str
    parameters: int
    embedding_parameters: int
    weights_bytes: int
    weights_basis: str
    dtype_bytes: int
    heads: int
    hidden: int
    layers: tuple[KvLayer, ...]
    attention_values: int
    max_position: int
    head_parameters: int
    activation_values: int
    experts: Experts | None = None
    vision: VisionShape | None = None
    vision_parameters: int = 0
    image_tokens: int | None = None
    prescribes_kv_type: bool = False
    auto_kv_bytes: int = 2

    @property
    def has_vision(self) -> bool:
        """Whether it takes images."""
        return self.vision_parameters > 0

    def kept_kv_bytes(self, kv_dtype_bytes: int) -> int:
        """Bytes of one value of the KV cache as the engine keeps it.

        + kv_dtype_bytes: 1 when fp8 is asked for, 2 when it is left to ``auto``, which follows the
          weights' own quantization
        """
        return min(kv_dtype_bytes, self.auto_kv_bytes)

    @property
    def vocabulary(self) -> int:
        """Entries of the vocabulary."""
        return self.embedding_parameters // self.hidden

    @property
    def kinds(self) -> tuple[LayerKind, ...]:
        """Kinds of its layers, each once."""
        return tuple(dict.fromkeys(layer.kind for layer in self.layers))

    def kv_bytes_per_token(self, kv_dtype_bytes: int, tensor_parallel: int = 1) -> int:
        """Bytes that one token keeps in all layers of one GPU, as long as no window forgets it."""
        return kv_dtype_bytes * sum(layer.values(tensor_parallel) for layer in self.layers)

    @property
    def active_bytes(self) -> int:
        """Bytes of the weights without the routed experts that one token passes by."""
        if self.experts is None:
            return self.weights_bytes
        idle = self.experts.parameters * (1 - self.experts.per_token / self.experts.count)
        return self.weights_bytes - int(idle * self.weights_bytes / self.parameters)

    def shape(self, kv_dtype_bytes: int = 2, tensor_parallel: int = 1) -> ModelShape:
        """What the latency model takes.

        + tensor_parallel: GPUs of the engine; what each of them keeps and reads for itself (MLA's
          latent vector, repeated heads) counts once for each

        Raises :class:`PredictionUnsupportedError` for sliding windows (the scheduler model has one
        kind of block only) and for weights of fewer than 8 bits (their kernels are not in the
        latency model). A vision encoder of another kind takes no part: the shape is that of its
        decoder, which answers about text.
        """
        if LayerKind.SLIDING in self.kinds:
            raise PredictionUnsupportedError(
                f"{self.name}: layers with a sliding window are not in the scheduler model, so a "
                "prediction would be a guess (its capacity is known)"
            )
        if self.weights_bytes < _LEAST_SHARE * self.parameters * self.dtype_bytes:
            raise PredictionUnsupportedError(
                f"{self.name}: weights of {8 * self.weights_bytes / self.parameters:.1f} bits are "
                "not in the latency model, so a prediction would be a guess (its capacity is known)"
            )
        return ModelShape(
            name=self.name,
            parameters=self.parameters - (self.vision_parameters if self.vision is None else 0),
            embedding_parameters=self.embedding_parameters,
            layers=len(self.layers),
            heads=self.heads,
            kv_heads=self.layers[0].kv_heads,
            head_dim=self.attention_values // (2 * self.heads),
            dtype_bytes=self.dtype_bytes,
            kv_dtype_bytes=self.kept_kv_bytes(kv_dtype_bytes),
            vision=self.vision,
            experts=self.experts,
            head_parameters=self.head_parameters,
            kv_values=tensor_parallel * sum(layer.values(tensor_parallel) for layer in self.layers),
            residual=self.hidden,
        )

    def renamed(self, name: str) -> ModelSpec:
        """The same model under another name."""
        return dataclasses.replace(self, name=name)
