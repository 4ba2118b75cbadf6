"""The weights of a model's folder: which files they are, and whether they are whole."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocminfra.model_files.json_files import is_pointer, pointer_words, read_json
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.planning.model.weight_files import (
    INDEX,
    UNFINISHED,
    Index,
    missing_files,
    read_index,
    weight_files,
)

# The format's own limit: anything longer is not a header.
_MOST_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
# A thousand times the largest published model.
_MOST_BYTES = 10**16
_NAMED = 3


@dataclass(frozen=True)
class Weights:
    """What is known of a checkpoint's weights.

    + tensor_bytes: of all tensors
    + types: bytes by type of the tensors; empty when only the index is there
    + absent: files whose tensors are not there, which planning does not need: all of them when only
      the index is, or those of which somebody kept the header alone
    """

    tensor_bytes: int
    types: Mapping[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


def read_weights(folder: Path) -> Weights | None:
    """What a folder's safetensors files and their index say; None when neither is there.

    Raises :class:`UnknownModelError` for files that cannot be read, that are Git LFS's pointers,
    that end before their tensors do, or that are missing while others are there.
    """
    # vLLM's pattern, `*.safetensors`, matches no hidden name, such as the `._…` of a Mac.
    entries = sorted(e.name for e in os.scandir(folder) if not e.name.startswith("."))
    names = [name for name in entries if name.endswith(".safetensors")]
    unfinished = [name for name in entries if name.endswith(UNFINISHED)]
    if unfinished:
        raise UnknownModelError(f"{folder} is half a download: it holds {unfinished[0]}")
    index = _index(folder)
    wanted = weight_files(names, index)
    lost = [name for name in wanted if name in names and not (folder / name).exists()]
    if lost:
        # As the hub's cache has it when its blobs were removed.
        raise UnknownModelError(f"{folder / lost[0]} is a link to a file that is not there")
    if not wanted:
        return None if index is None or index.total_size is None else Weights(index.total_size)
    missing = missing_files(wanted, names)
    if len(missing) == len(wanted):
        return _of_index_alone(index, wanted)
    if missing:
        more = ", …" if len(missing) > _NAMED else ""
        raise UnknownModelError(
            f"{folder} is half a download: {len(missing)} of its {len(wanted)} files with weights "
            f"are missing ({', '.join(missing[:_NAMED])}{more})"
        )
    return _of_files(folder, wanted, index)


def whole_weights(folder: Path) -> Weights | None:
    """The same for a folder that is about to be served: nothing of what the index names, and no
    tensor of what is there, may be absent. None where it holds no safetensors."""
    found = read_weights(folder)
    if found is not None and found.absent:
        raise UnknownModelError(
            f"{folder} holds no weights: {', '.join(found.absent[:_NAMED])} "
            f"{'is' if len(found.absent) == 1 else 'are'} missing, or only a header"
        )
    return found


def tensor_bytes(folder: Path) -> int | None:
    """Bytes of all tensors in a folder's safetensors files, or None when there are none.

    Raises :class:`UnknownModelError` as :func:`read_weights` does.
    """
    found = read_weights(folder)
    return None if found is None else found.tensor_bytes


def _index(folder: Path) -> Index | None:
    path = folder / INDEX
    if not os.path.lexists(path):
        return None
    return read_index(str(path), read_json(path))


def _of_index_alone(index: Index | None, wanted: tuple[str, ...]) -> Weights | None:
    if index is None or index.total_size is None:
        return None
    return Weights(index.total_size, absent=wanted)


def _of_files(folder: Path, wanted: tuple[str, ...], index: Index | None) -> Weights:
    types: dict[str, int] = {}
    absent = []
    for name in wanted:
        if not _add_tensors(folder / name, types):
            absent.append(name)
    total = sum(types.values())
    if index is not None and not index.files and index.total_size is not None:
        # Files that the index does not name may be another checkpoint's.
        return Weights(index.total_size)
    return Weights(total, types, tuple(absent))


def _add_tensors(path: Path, types: dict[str, int]) -> bool:
    """Add the bytes of a file's tensors by type; whether the tensors are there too.

    A file that ends with its header was kept for planning; one that ends in a tensor was cut off.
    """
    try:
        if is_pointer(path):
            raise UnknownModelError(pointer_words(path))
        size = path.stat().st_size
        with path.open("rb") as file:
            if size < _LENGTH_BYTES:
                raise ValueError(f"it has {size} bytes")
            length = struct.unpack("<Q", file.read(_LENGTH_BYTES))[0]
            if length > _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
        sizes, end = _tensors(header)
        expected = _LENGTH_BYTES + length + end
    except UnknownModelError:
        raise
    except (
        *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
        struct.error,
    ) as error:
        raise UnknownModelError(f"{path} is not a safetensors file: {error}") from None
    if size not in (expected, _LENGTH_BYTES + length):
        raise UnknownModelError(
            f"{path} has {size:,} bytes, and its header describes {expected:,}: it was not copied "
            "or downloaded to its end"
        )
    for kind, count in sizes:
        types[kind] = types.get(kind, 0) + count
    return bool(size == expected)


def _tensors(header: Mapping[str, Any]) -> tuple[list[tuple[str, int]], int]:
    """Type and bytes of each tensor, and where the last one ends.

    Raises ValueError for a header whose tensors do not fill the file, which safetensors refuses.
    """
    sizes, end = [], 0
    for key, value in header.items():
        if key == "__metadata__":
            continue
        first, last = value["data_offsets"]
        if type(first) is not int or type(last) is not int or not 0 <= first <= last < _MOST_BYTES:
            raise ValueError(f"its tensor {key} lies from {first!r} to {last!r}")
        sizes.append((str(value.get("dtype")), last - first))
        end = max(end, last)
    if not sizes:
        raise ValueError("its header names no tensor")
    if sum(count for _, count in sizes) != end:
        raise ValueError("its tensors overlap or leave gaps")
    return sizes, end
