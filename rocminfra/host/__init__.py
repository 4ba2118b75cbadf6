"""Small programs that run on the host: standard library only, Python 3.10+."""

from __future__ import annotations

from pathlib import Path


def program(name: str) -> str:
    """Source text of a program in this folder, to be put on a host.

    + name: file name such as ``readiness.py``
    """
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
