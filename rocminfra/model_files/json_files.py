"""JSON files of a model's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.planning.model.weight_files import MOST_POINTER_BYTES, POINTER_START

# The largest index of a published model has 10 MB; somebody may name its weights instead.
_MOST_JSON_BYTES = 100_000_000


def read_json(path: Path) -> Mapping[str, Any]:
    """The object that a file holds; raises :class:`UnknownModelError` when it holds none."""
    try:
        size = path.stat().st_size
        if size > _MOST_JSON_BYTES:
            raise UnknownModelError(f"{path} has {size:,} bytes, which is not a configuration")
        if is_pointer(path):
            raise UnknownModelError(pointer_words(path))
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, UnknownModelError):
            raise
        raise UnknownModelError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise UnknownModelError(f"{path} does not hold a JSON object")
    return value


def is_pointer(path: Path) -> bool:
    """Whether a file is Git LFS's note of a file that was not fetched; raises OSError."""
    if path.stat().st_size > MOST_POINTER_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER_START)) == POINTER_START


def pointer_words(path: Path) -> str:
    """What to say of such a note."""
    return (
        f"{path} is a Git LFS pointer and not the file itself, which was not fetched: "
        f"git -C {path.parent} lfs pull"
    )
