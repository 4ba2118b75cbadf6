"""A model's folder that is about to be copied to a host: what belongs to it, and is it whole."""

from __future__ import annotations

import os
from pathlib import Path

from rocminfra.model_files.json_files import is_pointer, pointer_words
from rocminfra.model_files.weights import whole_weights
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.planning.model.weight_files import FOREIGN_FOLDERS, is_consolidated


def files_to_serve(folder: Path) -> list[Path]:
    """Files of the model, sorted: not the checkout's own, and no weights a second time.

    Links are followed, as in a snapshot of the hub's cache.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in FOREIGN_FOLDERS)
        found += [Path(root) / name for name in names]
    files = [path for path in found if path.is_file()]
    own = [path for path in files if path.suffix == ".safetensors" and path.parent == folder]
    if any(not is_consolidated(path.name) for path in own):
        files = [path for path in files if path.parent != folder or not is_consolidated(path.name)]
    return sorted(files)


def folder_problem(folder: Path) -> str | None:
    """Why a folder cannot be served, or None.

    An engine that is given Git LFS's pointers, or half of the weights, replaces one that serves and
    then does not start.
    """
    try:
        whole_weights(folder)
        for path in files_to_serve(folder):
            if is_pointer(path):
                return pointer_words(path)
    except UnknownModelError as error:
        return str(error)
    except OSError as error:
        return f"{folder} cannot be read: {error}"
    return None
