"""Vision encoders of the known families: weights, and how many tokens an image becomes.

Sources: the modelling and image processing classes of Hugging Face transformers. Standard library
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rocminfra.planning.engine.model_shape import VisionShape
from rocminfra.planning.model.spec import UnknownModelError

Config = Mapping[str, Any]

# Published files leave out what is the default of ``Qwen2VLVisionConfig`` and
# ``Qwen2_5_VLVisionConfig``, down to ``{"hidden_size": 8192, "in_chans": 3, …}`` for the 72B.
_QWEN2_VL: Config = {
    "depth": 32,
    "embed_dim": 1_280,
    "hidden_size": 3_584,
    "mlp_ratio": 4,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
_QWEN2_5_VL: Config = {
    "depth": 32,
    "hidden_size": 3_584,
    "intermediate_size": 3_420,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "out_hidden_size": 3_584,
    "fullatt_block_indexes": (7, 15, 23, 31),
}


@dataclass(frozen=True)
class Vision:
    """What a family's function returns.

    + parameters: weights of encoder and projector
    + shape: for encoders whose tokens follow the image's size
    + image_tokens: for encoders with a fixed number of tokens
    """

    parameters: int = 0
    shape: VisionShape | None = None
    image_tokens: int | None = None


def qwen2_vl(vision: Config, other: Config) -> Vision:
    """Qwen2-VL: 32 layers with LayerNorm, full attention, tokens by the image's size.

    + other: the decoder's configuration and the image processor's
    """
    vision = {**_QWEN2_VL, **vision}
    depth, size = int(vision["depth"]), int(vision["embed_dim"])
    inner = int(size * vision["mlp_ratio"])
    block = _attention(size) + 2 * size * inner + inner + size + 4 * size
    merger = _merger(size, int(vision["spatial_merge_size"]), int(vision["hidden_size"]))
    total = depth * block + _patches(vision, size) + 2 * size + merger
    return _by_size(vision, other, total, merger, depth, size)


def qwen2_5_vl(vision: Config, other: Config) -> Vision:
    """Qwen2.5-VL: RMSNorm and a gated feed-forward; most layers attend in windows."""
    vision = {**_QWEN2_5_VL, **vision}
    depth, size = int(vision["depth"]), int(vision["hidden_size"])
    inner = int(vision["intermediate_size"])
    block = _attention(size) + 3 * size * inner + 2 * inner + size + 2 * size
    merger = _merger(size, int(vision["spatial_merge_size"]), int(vision["out_hidden_size"]))
    total = depth * block + _patches(vision, size) + size + merger
    windowed = _by_size(vision, other, total, merger, depth, size)
    patch = int(vision["patch_size"])
    side = int(vision["window_size"]) // patch
    full = len(vision["fullatt_block_indexes"])
    shape = windowed.shape
    if shape is not None:
        shape = replace(shape, window_patches=side * side, full_layers=full)
    return Vision(total, shape=shape)


def gemma3_vision(vision: Config, other: Config) -> Vision:
    """Gemma 3: SigLIP, 256 tokens for every image (no pan and scan)."""
    size, inner = int(vision["hidden_size"]), int(vision["intermediate_size"])
    patch = int(vision["patch_size"])
    positions = (int(vision["image_size"]) // patch) ** 2
    block = 4 * (size * size + size) + 2 * size * inner + inner + size + 4 * size
    projector = size * int(other["hidden_size"]) + size
    total = (
        int(vision["num_hidden_layers"]) * block
        + 3 * patch * patch * size
        + size
        + positions * size
        + 2 * size
        + projector
    )
    return Vision(total, image_tokens=int(other.get("mm_tokens_per_image", 256)))


def mistral3_vision(vision: Config, other: Config) -> Vision:
    """Mistral 3: Pixtral with gated feed-forwards, and patches merged before the projector.

    Its images become a row of tokens for each row of patches, which is not modelled.
    """
    if vision.get("model_type", "pixtral") != "pixtral":
        raise UnknownModelError(f"an encoder of the kind {vision['model_type']!r} is not known")
    size, inner = int(vision["hidden_size"]), int(vision["intermediate_size"])
    patch, merge = int(vision["patch_size"]), int(other.get("spatial_merge_size", 2))
    hidden = int(other["hidden_size"])
    block = 4 * size * size + 3 * size * inner + 2 * size
    channels = int(vision.get("num_channels", 3))
    encoder = int(vision["num_hidden_layers"]) * block + channels * patch * patch * size + size
    projector = size + merge * merge * size * size + size * hidden + hidden * hidden
    if other.get("multimodal_projector_bias"):
        projector += 2 * hidden
    return Vision(encoder + projector)


def _by_size(
    vision: Config, other: Config, total: int, merger: int, depth: int, size: int
) -> Vision:
    limits = other.get("size") or {}
    default = VisionShape(parameters=total, layers=depth, hidden=size)
    shape = VisionShape(
        parameters=total,
        layers=depth,
        hidden=size,
        merger_parameters=merger,
        patch=int(vision["patch_size"]),
        merge=int(vision["spatial_merge_size"]),
        min_pixels=int(
            other.get("min_pixels") or limits.get("shortest_edge") or default.min_pixels
        ),
        max_pixels=int(other.get("max_pixels") or limits.get("longest_edge") or default.max_pixels),
    )
    return Vision(total, shape=shape)


def _attention(size: int) -> int:
    return 3 * size * size + 3 * size + size * size + size


def _patches(vision: Config, size: int) -> int:
    patch = int(vision["patch_size"])
    return 3 * int(vision["temporal_patch_size"]) * patch * patch * size


def _merger(size: int, merge: int, out: int) -> int:
    wide = size * merge * merge
    return wide * wide + wide + wide * out + out
