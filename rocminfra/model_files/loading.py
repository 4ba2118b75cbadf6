"""A model's figures from its folder: configuration, size of its weights, how they are stored.

No weights are downloaded: a model is the reference model, a folder, a ``config.json``, a repository
that a Hugging Face cache on this machine already holds, or one of the hub, of which kilobytes come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.hub.repository import Hub
from rocminfra.model_files.hub_cache import cached_snapshot
from rocminfra.model_files.hub_models import PROCESSOR_FILES, described, kept
from rocminfra.model_files.json_files import read_json
from rocminfra.model_files.weights import read_weights
from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.quantization import BESIDE, MISTRAL_FILE, RECIPE
from rocminfra.planning.model.reference import (
    REFERENCE_CONFIG,
    REFERENCE_NAME,
    REFERENCE_PROCESSOR,
)
from rocminfra.planning.model.spec import ModelSpec, UnknownModelError

_CONFIG = "config.json"
# What a folder is that holds one of these and no configuration.
_NO_MODELS = {
    "adapter_config.json": "an adapter; give the model that it belongs to",
    MISTRAL_FILE: "in Mistral's own format; give the repository's config.json as well",
    "model_index.json": "a pipeline of several models; give the folder of one",
}
# Modifiers of llm-compressor's recipes that change how weights are stored.
_QUANTIZES = re.compile(r"(Quantization|GPTQ|AWQ|AutoRound)Modifier")


def load_model(
    model: str = REFERENCE_NAME,
    dtype: str = "auto",
    revision: str | None = None,
    hub: Hub | None = None,
) -> ModelSpec:
    """The figures of a model.

    + model: name of the reference model, a folder with a ``config.json``, such a file, or a
      repository in the Hugging Face cache of this machine
    + dtype: as ``--dtype``
    + revision: commit, tag or branch of a repository; None for its ``main``
    + hub: asked for a model that is not here; None looks on this machine only

    Raises :class:`UnknownModelError` for a model that is not here, not whole or not known.
    """
    try:
        config = _config_file(model, revision)
        if config is None and model != REFERENCE_NAME:
            known = kept(model, revision) if hub is None else described(model, revision, hub)
            config = None if known is None else known / _CONFIG
        if config is not None:
            return _of_folder(config.parent, config.name, model, dtype)
    except (OSError, RuntimeError) as error:
        raise UnknownModelError(f"{model} cannot be looked for: {error}") from None
    if model == REFERENCE_NAME:
        return read_model(REFERENCE_CONFIG, model, dtype=dtype, processor=REFERENCE_PROCESSOR)
    kind = next((kind for file, kind in _NO_MODELS.items() if _is_file(model, file)), None)
    if kind is not None:
        raise UnknownModelError(f"{model} holds no {_CONFIG}: it is {kind}")
    raise UnknownModelError(
        f"there is no model {model}: neither a folder with a config.json, nor such a file, nor a "
        "repository in this machine's Hugging Face cache"
        f"{'' if hub is None else ' or on the hub'}; only {REFERENCE_NAME} is built in"
    )


def _is_file(folder: str, name: str) -> bool:
    try:
        return (Path(folder).expanduser() / name).is_file()
    except (OSError, RuntimeError):
        return False


def _config_file(model: str, revision: str | None) -> Path | None:
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if (path / _CONFIG).is_file():
        return path / _CONFIG
    cached = cached_snapshot(model, revision)
    return None if cached is None else cached / _CONFIG


def _of_folder(folder: Path, config: str, name: str, dtype: str) -> ModelSpec:
    described = read_json(folder / config)
    weights = read_weights(folder)
    if weights is None:
        _refuse_gguf(folder, name)
    return read_model(
        described,
        name,
        weights_bytes=None if weights is None else weights.tensor_bytes,
        dtype=dtype,
        processor=_processor(folder),
        beside=_beside(folder, config),
        stored_types={} if weights is None else weights.types,
    )


def _processor(folder: Path) -> Mapping[str, Any] | None:
    """What bounds an image's pixels; transformers 5 keeps it in a part of another file."""
    own, whole = (folder / name for name in PROCESSOR_FILES)
    if own.is_file():
        return read_json(own)
    part = read_json(whole).get("image_processor") if whole.is_file() else None
    return part if isinstance(part, Mapping) else None


def _beside(folder: Path, config: str) -> dict[str, Mapping[str, Any]]:
    """Files that may say how the weights are quantized: the known ones, and whatever is called so.

    Beside a configuration of another name stand those of other models.
    """
    names = {*BESIDE, MISTRAL_FILE}
    if config == _CONFIG:
        names |= {path.name for path in folder.glob("*quant*.json")}
    found: dict[str, Mapping[str, Any]] = {
        name: read_json(folder / name) for name in sorted(names) if (folder / name).is_file()
    }
    recipe = folder / RECIPE
    if config == _CONFIG and recipe.is_file():
        text = recipe.read_text(encoding="utf-8", errors="replace")
        # Others only prune.
        if _QUANTIZES.search(text):
            found[RECIPE] = {}
    return found


def _refuse_gguf(folder: Path, name: str) -> None:
    # Each variant of the weights may have a folder of its own.
    found = sorted(str(path.relative_to(folder)) for path in folder.glob("**/*.gguf"))
    if found:
        raise UnknownModelError(
            f"{name}: its weights are in GGUF ({found[0]}), and what they take is not known; only "
            "safetensors are read"
        )
