"""What the latency and capacity models need to know about a model, and how images become tokens.

Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class VisionShape:
    """A vision encoder that turns patches into image tokens.

    + parameters: weights of encoder and merger
    + merger_parameters: weights of the merger, which works on tokens instead of patches
    + layers, hidden: the encoder's layers and hidden size
    + patch: side of a patch in pixels
    + merge: patches per token along each side
    + min_pixels, max_pixels: limits to which an image is resized
    + window_patches: patches that attend to each other in layers with windows; None without them
    + full_layers: layers without a window, where there are windows
    """

    parameters: int
    layers: int
    hidden: int
    patch: int = 14
    merge: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 16_384 * 28 * 28
    window_patches: int | None = None
    full_layers: int = 0
    merger_parameters: int = 0

    def weights_flops(self, patches: int) -> int:
        """FLOPs of all products with weights for an image of this many patches."""
        merged = patches // self.merge**2
        encoder = self.parameters - self.merger_parameters
        return 2 * (patches * encoder + merged * self.merger_parameters)

    def attention_pairs(self, patches: int) -> int:
        """Pairs of patches that attend to each other, summed over the layers."""
        if self.window_patches is None:
            return self.layers * patches * patches
        in_windows = (self.layers - self.full_layers) * patches * min(self.window_patches, patches)
        return self.full_layers * patches * patches + in_windows


@dataclass(frozen=True)
class Experts:
    """Routed experts of a mixture, over all layers.

    + count: experts per layer
    + per_token: experts per token and layer
    + parameters: weights of all of them in all layers
    """

    count: int
    per_token: int
    parameters: int

    def touched(self, tokens: int) -> float:
        """Share of the experts' weights that a step of ``tokens`` tokens reads, assuming uniform
        and independent routing: 1 - (1 - k/E)^tokens."""
        return 1.0 - (1.0 - self.per_token / self.count) ** tokens


@dataclass(frozen=True)
class ModelShape:
    """A decoder with full attention, and its vision encoder if it has one.

    + name: repository it describes
    + parameters: all parameters, including vision
    + embedding_parameters: the input embedding, of which a step reads a few rows only
    + layers, heads, kv_heads, head_dim: the decoder's
    + dtype_bytes, kv_dtype_bytes: bytes of one weight and of one KV value
    + vision: the encoder, or None
    + experts: routed experts, or None for a dense model
    + head_parameters: the output head, which only sampled tokens use
    + kv_values: values that a token keeps in all layers, on all GPUs together; None for
      grouped-query attention, whose number follows from heads and layers
    + residual: size of the residual stream, which GPUs exchange; None where it is heads x head_dim
    """

    name: str
    parameters: int
    embedding_parameters: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    dtype_bytes: int = 2
    kv_dtype_bytes: int = 2
    vision: VisionShape | None = None
    experts: Experts | None = None
    head_parameters: int = 0
    kv_values: int | None = None
    residual: int | None = None

    @property
    def weights_bytes(self) -> int:
        """Bytes of all weights."""
        return self.parameters * self.dtype_bytes

    @property
    def decoder_parameters(self) -> int:
        """Weights that take part in every token: no embedding table, no vision encoder."""
        vision = self.vision.parameters if self.vision is not None else 0
        return self.parameters - self.embedding_parameters - vision

    @property
    def expert_parameters(self) -> int:
        """Weights of the routed experts."""
        return 0 if self.experts is None else self.experts.parameters

    @property
    def hidden(self) -> int:
        """Size of the residual stream."""
        return self.heads * self.head_dim if self.residual is None else self.residual

    @property
    def active_expert_parameters(self) -> int:
        """Weights of the routed experts that one token passes."""
        if self.experts is None:
            return 0
        return self.experts.parameters * self.experts.per_token // self.experts.count

    @property
    def active_parameters(self) -> int:
        """Decoder weights that every token is multiplied with, sampled or not."""
        body = self.decoder_parameters - self.head_parameters
        if self.experts is None:
            return body
        return body - self.experts.parameters + self.active_expert_parameters

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token keeps."""
        if self.kv_values is not None:
            return self.kv_values * self.kv_dtype_bytes
        return 2 * self.layers * self.kv_heads * self.head_dim * self.kv_dtype_bytes


# config.json and the safetensors index of the published weights: decoder 72,706,203,648 (the
# embedding is 152,064 x 8,192 of them), vision encoder about 631 M, merger about 68 M.
QWEN2_VL_72B = ModelShape(
    name="Qwen/Qwen2-VL-72B-Instruct",
    parameters=73_405_560_320,
    embedding_parameters=152_064 * 8_192,
    layers=80,
    heads=64,
    kv_heads=8,
    head_dim=128,
    vision=VisionShape(
        parameters=699_356_672, layers=32, hidden=1_280, merger_parameters=68_170_752
    ),
    head_parameters=152_064 * 8_192,
)


@dataclass(frozen=True)
class ImageGrid:
    """An image as the encoder sees it: patches go in, tokens come out."""

    patches: int
    tokens: int


def image_grid(
    width: int, height: int, vision: VisionShape, max_pixels: int | None = None
) -> ImageGrid:
    """The patches and tokens of an image of ``width`` x ``height`` pixels.

    + max_pixels: cap that replaces the model's own (``--mm-processor-kwargs``)

    The rule is ``smart_resize`` of Qwen2-VL's image processor: both sides are rounded to a
    multiple of patch x merge (28), and scaled down or up to stay between the two limits.
    1700 x 2200 gives 4,819 tokens, and 1,240 when capped at 1,003,520 pixels.

    Raises ValueError for an empty image, or one more than 200 times as long as wide.
    """
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} pixels is empty")
    if max(width, height) / min(width, height) > 200:
        raise ValueError(
            "absolute aspect ratio must be smaller than 200, "
            f"got {max(width, height) / min(width, height)}"
        )
    factor = vision.patch * vision.merge
    most = vision.max_pixels if max_pixels is None else max_pixels
    rows = max(factor, round(height / factor) * factor)
    columns = max(factor, round(width / factor) * factor)
    if rows * columns > most:
        shrink = math.sqrt(height * width / most)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif rows * columns < vision.min_pixels:
        grow = math.sqrt(vision.min_pixels / (height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    patches = (rows // vision.patch) * (columns // vision.patch)
    return ImageGrid(patches=patches, tokens=patches // vision.merge**2)


def image_tokens(
    width: int, height: int, vision: VisionShape, max_pixels: int | None = None
) -> int:
    """Tokens of an image; see :func:`image_grid`."""
    return image_grid(width, height, vision, max_pixels).tokens
