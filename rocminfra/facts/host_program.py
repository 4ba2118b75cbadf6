"""Text of the small programs that run on the host, and how they are called.

They are sent along with the command that runs them, so that a look at a fresh host needs nothing
installed there but Python, and writes nothing.
"""

from __future__ import annotations

import functools
import shlex
from importlib.resources import files


@functools.cache
def source(name: str) -> str:
    """Text of ``rocminfra/host/<name>.py``."""
    return files("rocminfra.host").joinpath(f"{name}.py").read_text(encoding="utf-8")


@functools.lru_cache(maxsize=64)
def call(name: str, *arguments: str) -> str:
    """Shell command that runs the program with ``arguments``, each quoted."""
    # Isolated: no module in the home folder and no variable can take the place of its imports.
    return shlex.join(("python3", "-I", "-c", source(name), *arguments))
