"""Weights in PyTorch's own format, which an engine loads where there are no safetensors.

Their sizes stand nowhere, so they are not planned with; before they are served, they must be there.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from rocminfra.model_files.json_files import is_pointer, pointer_words, read_json
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.planning.model.weight_files import missing_files, named_files, with_parts

_INDEX = "pytorch_model.bin.index.json"
# What vLLM 0.20 looks for in this order (DefaultModelLoader, `_prepare_weights`).
_SUFFIXES = (".bin", ".pt")
# Of the hub's other files with one of these suffixes, which hold no weights.
_OTHERS = ("training_args.bin", "optimizer.bin", "scheduler.bin", "optimizer.pt", "scheduler.pt")
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


def check_pickles(folder: Path) -> bool:
    """Whether a folder holds weights in this format.

    Raises :class:`UnknownModelError` when it holds a part of them.
    """
    entries = {entry.name for entry in os.scandir(folder)}
    there = [name for name in entries if name.endswith(_SUFFIXES) and name not in _OTHERS]
    index = folder / _INDEX
    weight_map = read_json(index).get("weight_map") if _INDEX in entries else None
    if isinstance(weight_map, Mapping) and weight_map:
        wanted = named_files(str(index), weight_map, _SUFFIXES)
    else:
        wanted = with_parts(there)
    missing = missing_files(wanted, there)
    if missing:
        raise UnknownModelError(
            f"{folder} is half a download: {len(missing)} of its {len(wanted)} files with weights "
            f"are missing ({missing[0]})"
        )
    for name in wanted:
        _check(folder / name)
    return bool(wanted)


def _check(path: Path) -> None:
    try:
        if is_pointer(path):
            raise UnknownModelError(pointer_words(path))
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
        # An archive's list of files stands at its end.
        is_cut = start == _ZIP and not zipfile.is_zipfile(path)
    except OSError as error:
        raise UnknownModelError(f"{path} cannot be read: {error}") from None
    if is_cut or not start:
        raise UnknownModelError(f"{path} was not copied or downloaded to its end")
    if not start.startswith((_ZIP, _PICKLE)):
        raise UnknownModelError(f"{path} is not a file of PyTorch's")
