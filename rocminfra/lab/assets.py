"""The engine's image and the toy model: made once, kept until their source changes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import rocminfra
from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.lock import exclusive
from rocminfra.lab.paths import LabPaths

IMAGE = "engine-image.tar"
LOCK_WAIT_S = 600
_PACKAGE = Path(rocminfra.__file__).parent


def ensure(paths: LabPaths, base: Path, say: Callable[[str], None]) -> None:
    """The engine's image in ``paths.assets`` and the toy model in ``paths.model``.

    + base: base root; the image is made of it
    + say: told what is being done

    Raises :class:`FailedError` when another process makes them and does not end.
    """
    source = (_PACKAGE / "lab" / "toy_model.py").read_bytes()
    model_key = hashlib.sha256(source).hexdigest()
    mark = paths.model.with_name(f"{paths.model.name}.key")
    with exclusive("assets", LOCK_WAIT_S, paths.cache / ".locks", say):
        if not paths.model.is_dir() or _read(mark) != model_key:
            say("making the toy model")
            mark.unlink(missing_ok=True)
            _toy_model().build(paths.model)
            mark.write_text(model_key, encoding="ascii")
        if not (paths.assets / IMAGE).exists():
            say("making the engine simulator's image")
        # It knows by itself whether its sources have changed.
        _image().build(base, paths.assets / IMAGE)


def _toy_model() -> ModuleType:
    try:
        from rocminfra.lab import toy_model
    except ModuleNotFoundError as error:
        raise _incomplete(error) from None
    return toy_model


def _image() -> ModuleType:
    try:
        from rocminfra.lab import image
    except ModuleNotFoundError as error:
        raise _incomplete(error) from None
    return image


def _incomplete(error: ModuleNotFoundError) -> FailedError:
    return FailedError(
        Fault.LAB_REQUIREMENT_MISSING,
        f"the lab's own Python packages are missing: {error}",
        next=Do(f"{sys.executable} -m pip install 'rocminfra[lab]'"),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""
