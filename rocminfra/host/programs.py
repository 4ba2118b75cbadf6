"""How the programs of this folder get to a host.

- ``sent/``: a single text, sent along with the command that runs it, so that a look at a fresh
  host needs nothing installed there but Python, and writes nothing;
- ``installed/``: single files below :data:`rocminfra.host_paths.PROGRAMS`;
- ``bench/``: a package, installed together with ``planning/bench``;
- ``fetch/``: one too, together with ``hub``.
"""

from __future__ import annotations

import functools
import shlex
from pathlib import Path

from rocminfra.host_paths import BENCH_PROGRAMS, FETCH_PROGRAMS, PROGRAMS, SHARED

_PACKAGE = Path(__file__).parent.parent
# What a benchmark needs there: whole folders of the package.
_BENCH_FOLDERS = ("host/bench", "planning/bench", "planning/gpus")
_FETCH_FOLDERS = ("host/fetch", "hub")
# What the installed programs import of ours.
_SHARED_FOLDERS = ("planning/gpus",)


@functools.cache
def source(name: str) -> str:
    """Text of a program that is sent along, such as ``disk_probe``."""
    return _text("host/sent", name)


@functools.lru_cache(maxsize=64)
def call(name: str, *arguments: str) -> str:
    """Shell command that runs a program that is sent along; each argument is quoted."""
    # Isolated: no module in the home folder and no variable can take the place of its imports. And
    # without site packages, which they do not use and which are a third of Python's start.
    return shlex.join(("python3", "-I", "-S", "-c", source(name), *arguments))


def installed(path: str) -> str:
    """Text of the program that is installed at ``path`` on the host."""
    folder, _, name = path.rpartition("/")
    if folder != PROGRAMS:
        raise ValueError(f"{path} is not in {PROGRAMS}")
    return _text("host/installed", name.removesuffix(".py"))


def shared() -> dict[str, str]:
    """Text, by path on the host, of everything that installed programs import of ours."""
    return _package(SHARED, _SHARED_FOLDERS)


def benchmark() -> dict[str, str]:
    """Text, by path on the host, of everything that a benchmark runs there."""
    return _package(BENCH_PROGRAMS, _BENCH_FOLDERS)


def fetching() -> dict[str, str]:
    """Text, by path on the host, of everything that downloads run there."""
    return _package(FETCH_PROGRAMS, _FETCH_FOLDERS)


def _package(path: str, folders: tuple[str, ...]) -> dict[str, str]:
    """Part of this package below a Python path of the host."""
    texts = {
        f"{folder}/{file.name}": file.read_text(encoding="utf-8")
        for folder in folders
        for file in (_PACKAGE / folder).glob("*.py")
    }
    # Without these, a rocminfra that is installed on the host would win over this one.
    rooms = {f"{folder.partition('/')[0]}/__init__.py" for folder in folders}
    texts.update(dict.fromkeys(("__init__.py", *rooms), ""))
    return {f"{path}/rocminfra/{name}": texts[name] for name in sorted(texts)}


def _text(folder: str, name: str) -> str:
    return (_PACKAGE / folder / f"{name}.py").read_text(encoding="utf-8")
