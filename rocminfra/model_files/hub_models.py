"""What planning needs of a model on the hub, kept on this machine: kilobytes, no weights.

``config.json``, the index, the files beside them that may tell how weights are quantized, and the
header of a safetensors file that stands alone. Kept below the commit they belong to, so they are
fetched once; what ``main`` is now is asked again after a day.
"""

from __future__ import annotations

import functools
import json
import os
import re
import time
from pathlib import Path

from rocminfra.hub.repository import Hub, HubError, Listing
from rocminfra.planning.model.quantization import BESIDE, MISTRAL_FILE, RECIPE
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.planning.model.weight_files import INDEX
from rocminfra.settings import Settings
from rocminfra.settings.hub_token import hub_token

FRESH_S = 24 * 3600.0
_NAMES = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# A header of a published model that stands alone has 20 to 200 kB.
_MOST_HEADER_BYTES = 20_000_000
_LENGTH_BYTES = 8
_CONFIG = "config.json"
# The image processor's own file, and the one of which it is a part (transformers 5).
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


def cache_folder() -> Path:
    """Where the descriptions are kept, whether it is there or not."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "rocminfra" / "hub"


def planning_hub(settings: Settings) -> Hub:
    """The hub that the settings name, with their token; asked on this machine, and only briefly."""
    try:
        token = hub_token(settings.huggingface)
    except OSError:
        token = None  # whoever downloads says so; planning asks for what everybody may read
    return _hub(settings.huggingface.endpoint, token)


@functools.lru_cache(maxsize=32)
def _hub(endpoint: str | None, token: str | None) -> Hub:
    return Hub(endpoint, token, attempts=2, timeout_s=10, gives_up=True)


def kept(repository: str, revision: str | None = None) -> Path | None:
    """Folder of a description that is here already, however old; None without one."""
    if _NAMES.fullmatch(repository) is None:
        return None
    folder = _folder(repository)
    commit = revision if revision and _COMMIT.fullmatch(revision) else _ref(folder, revision)[0]
    if commit is None or not (folder / commit / _CONFIG).is_file():
        return None
    return folder / commit


def described(repository: str, revision: str | None, hub: Hub) -> Path | None:
    """Folder of a model's description, from the hub where it is not here or a day old.

    + hub: asked for a few files
    None for a name that no repository can have. Raises :class:`UnknownModelError` when the hub does
    not give it, and OSError when it cannot be kept.
    """
    if _NAMES.fullmatch(repository) is None:
        return None
    here = kept(repository, revision)
    folder = _folder(repository)
    age_s = time.time() - _ref(folder, revision)[1]
    if here is not None and (here.name == revision or 0 <= age_s < FRESH_S):
        return here
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        if here is not None:
            return here
        raise UnknownModelError(_offline(repository, "HF_HUB_OFFLINE is set"))
    try:
        listing = hub.listing(repository, revision)
        target = folder / listing.commit
        if not (target / _CONFIG).is_file():
            _fetch(listing, target, hub)
    except HubError as error:
        if error.kind == "unreachable":
            if here is not None:
                return here
            raise UnknownModelError(_offline(repository, str(error))) from None
        more = "; pass a token that may read it (HF_TOKEN)" if error.kind == "denied" else ""
        raise UnknownModelError(f"{error}{more}") from None
    _keep(folder / "refs" / _escaped(revision), listing.commit.encode())
    return target


def _offline(repository: str, why: str) -> str:
    return (
        f"{repository} is neither on this machine nor can it be looked up: {why}; without the hub, "
        "give a folder that holds its config.json and, where there is one, "
        f"{INDEX}"
    )


def _fetch(listing: Listing, target: Path, hub: Hub) -> None:
    names = {file.path for file in listing.files}
    if _CONFIG not in names:
        raise UnknownModelError(f"{listing.repository} has no {_CONFIG} on the hub")
    weights = sorted(name for name in names if name.endswith(".safetensors") and "/" not in name)
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    if ggufs and not weights:
        raise UnknownModelError(
            f"{listing.repository}: its weights are in GGUF ({ggufs[0]}), and what they take is "
            "not known; only safetensors are read"
        )
    wanted = {INDEX, *PROCESSOR_FILES, MISTRAL_FILE, RECIPE, *BESIDE}
    wanted |= {name for name in names if re.fullmatch(r"[^/]*quant[^/]*\.json", name)}
    for name in sorted(wanted & names):
        _keep(target / name, hub.file(listing.repository, listing.commit, name))
    if INDEX not in names:
        # One file, or several of different precisions, of which `model` is loaded by default.
        for name in ["model.safetensors"] if "model.safetensors" in weights else weights[:1]:
            _keep(target / name, _header(listing, name, hub))
    # Last: with it the description is whole.
    _keep(target / _CONFIG, hub.file(listing.repository, listing.commit, _CONFIG))


def _header(listing: Listing, name: str, hub: Hub) -> bytes:
    first = hub.file(listing.repository, listing.commit, name, most=_LENGTH_BYTES)
    length = int.from_bytes(first[:_LENGTH_BYTES], "little")
    if len(first) < _LENGTH_BYTES or length > _MOST_HEADER_BYTES:
        raise UnknownModelError(f"{listing.repository}: {name} is not a safetensors file")
    return hub.file(listing.repository, listing.commit, name, most=_LENGTH_BYTES + length)


def _folder(repository: str) -> Path:
    return cache_folder() / repository.replace("/", "--")


def _escaped(revision: str | None) -> str:
    # Its own name in most cases, and never a path.
    return json.dumps(revision or "main")[1:-1].replace("%", "%25").replace("/", "%2F")


def _ref(folder: Path, revision: str | None) -> tuple[str | None, float]:
    """Commit of a branch or tag, and when it was asked for."""
    path = folder / "refs" / _escaped(revision)
    try:
        commit = path.read_text(encoding="utf-8")
        return (commit if _safe(commit) else None), path.stat().st_mtime
    except (OSError, ValueError):
        return None, 0.0


def _safe(commit: str) -> bool:
    return bool(re.fullmatch(r"[\w-]{1,64}", commit))


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_bytes(content)
    new.replace(path)
