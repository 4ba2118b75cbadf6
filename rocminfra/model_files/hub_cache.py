"""Repositories in this machine's Hugging Face cache, found as huggingface_hub finds them.

``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``, or in ``huggingface`` in ``XDG_CACHE_HOME``
(``huggingface_hub/constants.py``); there ``models--OWNER--NAME/refs/REVISION`` names the commit and
``snapshots/COMMIT`` holds links to its files (its guide "Understand caching").
"""

from __future__ import annotations

import os
from pathlib import Path

from rocminfra.planning.model.spec import UnknownModelError

_MOST_REF_BYTES = 1_000


def cached_snapshot(repository: str, revision: str | None = None) -> Path | None:
    """Folder of a repository's files, or None when the cache does not hold them.

    + repository: such as ``Qwen/Qwen2-VL-72B-Instruct``
    + revision: commit, tag or branch; None for ``main``

    Raises :class:`UnknownModelError` when there are several snapshots and none of them is
    ``main``'s, and OSError when the cache cannot be read.
    """
    if repository.count("/") > 1 or repository.startswith(("/", ".")):
        return None
    folder = cache_folder() / f"models--{repository.replace('/', '--')}"
    wanted = revision or "main"
    named = _with_config(folder / "snapshots", _commit(folder / "refs", wanted) or wanted)
    if named is not None or revision is not None or (folder / "refs" / wanted).exists():
        return named
    # Fetched by commit only: there is no `main`, and no doubt while there is one snapshot.
    snapshots = sorted(path for path in (folder / "snapshots").glob("*") if _has_config(path))
    if len(snapshots) > 1:
        raise UnknownModelError(
            f"{folder} holds {len(snapshots)} snapshots and no refs/main that says which of them "
            f"is meant: hf download {repository}"
        )
    return snapshots[0] if snapshots else None


def cache_folder() -> Path:
    """Where the hub's client keeps repositories, whether it is there or not."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return _path(os.environ[name])
    if os.environ.get("HF_HOME"):
        return _path(os.environ["HF_HOME"]) / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _path(base) / "huggingface" / "hub"


def _path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()


def _commit(refs: Path, revision: str) -> str | None:
    """The commit that a branch or tag is; None for one that the cache does not know."""
    if ".." in Path(revision).parts or revision.startswith("/"):
        return None
    path = refs / revision
    if not path.is_file() or path.stat().st_size > _MOST_REF_BYTES:
        return None
    return path.read_text(encoding="utf-8", errors="replace").strip() or None


def _with_config(snapshots: Path, commit: str) -> Path | None:
    if not commit or "/" in commit or commit in (".", ".."):
        return None
    folder = snapshots / commit
    return folder if _has_config(folder) else None


def _has_config(folder: Path) -> bool:
    return (folder / "config.json").is_file()
