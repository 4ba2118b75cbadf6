"""A model's folder: its configuration, and how many bytes its weights have, without loading them.

Nothing is downloaded: a model is the reference model, a folder, a ``config.json``, or a repository
that a Hugging Face cache on this machine already holds.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.reference import (
    REFERENCE_CONFIG,
    REFERENCE_NAME,
    REFERENCE_PROCESSOR,
)
from rocminfra.planning.model.spec import ModelSpec, UnknownModelError

_INDEX = "model.safetensors.index.json"
# A header longer than this is no header: the format's own limit.
_MOST_HEADER_BYTES = 100_000_000
# The largest index of a published model has 10 MB; somebody may name its weights instead.
_MOST_JSON_BYTES = 100_000_000
# A thousand times the largest published model; more is no size.
_MOST_BYTES = 10**16


def load_model(model: str = REFERENCE_NAME, dtype: str = "auto") -> ModelSpec:
    """The figures of a model.

    + model: name of the reference model, a folder with a ``config.json``, such a file, or a
      repository in the Hugging Face cache of this machine
    + dtype: as ``--dtype``

    Raises :class:`UnknownModelError` for a model that is not here or not known.
    """
    try:
        config = _config_file(model)
    except (OSError, RuntimeError) as error:
        raise UnknownModelError(f"{model} cannot be looked for: {error}") from None
    if config is not None:
        return _of_folder(config.parent, config.name, model, dtype)
    if model == REFERENCE_NAME:
        return read_model(REFERENCE_CONFIG, model, dtype=dtype, processor=REFERENCE_PROCESSOR)
    raise UnknownModelError(
        f"there is no model {model}: neither a folder with a config.json, nor such a file, nor a "
        f"repository in this machine's Hugging Face cache; only {REFERENCE_NAME} is built in"
    )


def tensor_bytes(folder: Path) -> int | None:
    """Bytes of all tensors in a folder's safetensors files, or None when there are none.

    The index says it; without one the files' headers do. Raises :class:`UnknownModelError` for
    files that cannot be read.
    """
    index = folder / _INDEX
    if index.is_file():
        size = _total_size(index)
        if size is not None:
            return size
    files = sorted(folder.glob("*.safetensors"))
    return sum(_file_tensor_bytes(file) for file in files) if files else None


def _total_size(index: Path) -> int | None:
    """What an index says of all tensors together; None when it leaves that out, as some do."""
    metadata = _json(index).get("metadata")
    if not isinstance(metadata, Mapping) or "total_size" not in metadata:
        return None
    size = metadata["total_size"]
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    if not is_number or not 0 < size < _MOST_BYTES:
        raise UnknownModelError(f"{index}: metadata.total_size is {size!r}, which is no size")
    return int(size)


def _config_file(model: str) -> Path | None:
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if (path / "config.json").is_file():
        return path / "config.json"
    cached = _cached(model)
    return None if cached is None else cached / "config.json"


def _of_folder(folder: Path, config: str, name: str, dtype: str) -> ModelSpec:
    processor = folder / "preprocessor_config.json"
    return read_model(
        _json(folder / config),
        name,
        weights_bytes=tensor_bytes(folder),
        dtype=dtype,
        processor=_json(processor) if processor.is_file() else None,
    )


def _cached(model: str) -> Path | None:
    """Newest snapshot of a repository in the Hugging Face cache."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    repository = home / "hub" / f"models--{model.replace('/', '--')}" / "snapshots"
    snapshots = [path for path in repository.glob("*") if (path / "config.json").is_file()]
    return max(snapshots, key=lambda path: path.stat().st_mtime, default=None)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        size = path.stat().st_size
        if size > _MOST_JSON_BYTES:
            raise UnknownModelError(f"{path} has {size:,} bytes and is no configuration")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnknownModelError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise UnknownModelError(f"{path} holds no JSON object")
    return value


def _file_tensor_bytes(path: Path) -> int:
    """Bytes of the tensors in one file: its header's offsets."""
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
            tensors = [value for key, value in header.items() if key != "__metadata__"]
            return sum(value["data_offsets"][1] - value["data_offsets"][0] for value in tensors)
    except (
        *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
        struct.error,
    ) as error:
        raise UnknownModelError(f"{path} is no safetensors file: {error}") from None
