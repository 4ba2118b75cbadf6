"""A model's folder that is about to be copied to a host: what belongs to it, and is it whole."""

from __future__ import annotations

import os
from pathlib import Path

from rocminfra.model_files.json_files import is_pointer, pointer_words
from rocminfra.model_files.pickles import check_pickles
from rocminfra.model_files.weights import whole_weights
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.planning.model.weight_files import FOREIGN_FOLDERS, is_consolidated

# Of every loader that vLLM has.
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".tensors")


def files_to_serve(folder: Path) -> list[Path]:
    """Files of the model, sorted: not the checkout's own, and no weights a second time.

    Links are followed, as in a snapshot of the hub's cache.
    """
    files = [path for path in _entries(folder) if path.is_file()]
    own = [path for path in files if path.suffix == ".safetensors" and path.parent == folder]
    if any(not is_consolidated(path.name) for path in own):
        files = [path for path in files if path.parent != folder or not is_consolidated(path.name)]
    return sorted(files)


def folder_problem(folder: Path, needs_weights: bool = True) -> str | None:
    """Why a folder cannot be served, or None.

    An engine that is given Git LFS's pointers, or half of the weights, replaces one that serves and
    then does not start.

    + needs_weights: whether a folder without any weights, a configuration alone, is refused
    """
    try:
        found = whole_weights(folder)
        for path in _entries(folder):
            if not path.exists():
                # As in a copy of the hub's snapshot without its blobs.
                return f"{path} is a link to a file that is not there"
        for path in files_to_serve(folder):
            if is_pointer(path):
                return pointer_words(path)
        is_held = found is not None or check_pickles(folder) or _has_weights(folder)
        if needs_weights and not is_held:
            return f"{folder} holds no weights: neither *.safetensors nor *.bin"
    except UnknownModelError as error:
        return str(error)
    except OSError as error:
        return f"{folder} cannot be read: {error}"
    return None


def _has_weights(folder: Path) -> bool:
    """Whether weights are there in another format, or in folders, as some loaders want them."""
    return any(path.name.endswith(_WEIGHTS) for path in _entries(folder))


def _entries(folder: Path) -> list[Path]:
    """Whatever lies in a folder and in those below it, but for those of the checkout."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in FOREIGN_FOLDERS)
        found += [Path(root) / name for name in names]
    return found
