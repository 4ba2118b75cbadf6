"""Which files of a checkpoint hold its weights, and whether they can be whole.

vLLM loads what the index names, and else every safetensors file of the folder itself; the files
that Mistral and Meta add in formats of their own (``consolidated*``, ``original/``) are the same
weights once more. Standard library only, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.model.spec import UnknownModelError

INDEX = "model.safetensors.index.json"
# Files of a checkout that are no part of the model: the repository itself, the hub client's notes
# of its downloads, the publisher's own format.
FOREIGN_FOLDERS = (".git", ".cache", "original")
# How Git LFS begins the note that it leaves where a file was not fetched
# (git-lfs/docs/spec.md, "The Pointer"), and the longest note that it writes.
POINTER_START = b"version https://git-lfs.github.com/spec/v1"
MOST_POINTER_BYTES = 1_024
# What downloaders keep beside a file, or as its name, until it is whole (aria2 and others make it
# as long as it will be at once, so that its size says nothing).
UNFINISHED = (".aria2", ".incomplete", ".part", ".partial", ".crdownload", ".download")
# As transformers and huggingface_hub name the parts of a checkpoint.
_PART = re.compile(
    r"^(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<ending>\.safetensors|\.bin)$"
)
_MOST_PARTS = 10_000
# A thousand times the largest published model; more is not a size.
_MOST_BYTES = 10**16


@dataclass(frozen=True)
class Index:
    """What ``model.safetensors.index.json`` says.

    + total_size: bytes of all tensors, None where it leaves that out
    + files: that it names
    """

    total_size: int | None
    files: tuple[str, ...]


def read_index(path: str, index: Mapping[str, Any]) -> Index:
    """Read an index; raises :class:`UnknownModelError` for a size or a name that is none.

    + path: how it is called in messages
    """
    total_size = _total_size(path, index.get("metadata"))
    weight_map = index.get("weight_map") or {}
    if not isinstance(weight_map, Mapping):
        raise UnknownModelError(f"{path}: its weight_map names no files")
    return Index(total_size, named_files(path, weight_map, (".safetensors",)))


def named_files(
    path: str, weight_map: Mapping[str, Any], suffixes: tuple[str, ...]
) -> tuple[str, ...]:
    """Files that an index's weight map names, sorted; raises :class:`UnknownModelError` for a name
    that no file beside it can have.

    + path: of the index, for messages
    + suffixes: that such a file has
    """
    for name in weight_map.values():
        if not isinstance(name, str) or "/" in name or not name.endswith(suffixes):
            raise UnknownModelError(
                f"{path}: its weight_map names {name!r}, which is not a file here with weights"
            )
    return tuple(sorted(set(weight_map.values())))


def weight_files(names: Iterable[str], index: Index | None) -> tuple[str, ...]:
    """Names of the files that hold the weights, whether they are there or not.

    + names: of the folder's own ``*.safetensors`` files
    + index: None without one
    """
    if index is not None and index.files:
        return index.files
    there = sorted(names)
    # They are the weights only where nothing else is.
    own = [name for name in there if not is_consolidated(name)] or there
    # A variant (`model.fp16.safetensors`) is the same tensors once more.
    return with_parts(name for name in own if not _is_variant(name, own))


def _is_variant(name: str, names: Iterable[str]) -> bool:
    """Whether it is named as transformers names another precision of a file beside it."""
    parts = name.split(".")
    return len(parts) == 3 and f"{parts[0]}.{parts[2]}" in names


def is_consolidated(name: str) -> bool:
    """Whether a file holds the weights in Mistral's or Meta's own format."""
    return name.startswith("consolidated")


def missing_files(wanted: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Which of the files that hold the weights are not there; all of them may be missing."""
    there = set(names)
    return tuple(sorted(name for name in wanted if name not in there))


def _total_size(path: str, metadata: Any) -> int | None:
    """What an index says of all tensors together; None when it leaves that out, as some do."""
    if not isinstance(metadata, Mapping) or "total_size" not in metadata:
        return None
    size = metadata["total_size"]
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    if not is_number or not 0 < size < _MOST_BYTES:
        raise UnknownModelError(f"{path}: metadata.total_size is {size!r}, which is not a size")
    return int(size)


def with_parts(names: Iterable[str]) -> tuple[str, ...]:
    """The names, and all parts of the checkpoints of which some part is among them, sorted."""
    found = set(names)
    for name in tuple(found):
        match = _PART.match(name)
        if match is None or not 0 < int(match["count"]) <= _MOST_PARTS:
            continue
        count = int(match["count"])
        found |= {
            f"{match['stem']}-{number:05d}-of-{count:05d}{match['ending']}"
            for number in range(1, count + 1)
        }
    return tuple(sorted(found))
