"""The engine's image and the toy model: made once, kept until their source changes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import rocminfra
from rocminfra.lab.lock import exclusive
from rocminfra.lab.paths import LabPaths

IMAGE = "engine-image.tar"
LOCK_WAIT_S = 600
_PACKAGE = Path(rocminfra.__file__).parent


def ensure(paths: LabPaths, base: Path, say: Callable[[str], None]) -> None:
    """The engine's image in ``paths.assets`` and the toy model in ``paths.model``.

    + base: base root; the image is made of it
    + say: told what is being done

    Raises :class:`LabError` when another process makes them and does not end.
    """
    model_key = _key([_PACKAGE / "lab" / "toy_model.py"])
    sources = [_PACKAGE / "lab" / "image.py", _PACKAGE / "lab" / "toy_model.py"]
    sources += sorted((_PACKAGE / "lab" / "engine").rglob("*.py"))
    sources += sorted((_PACKAGE / "planning").glob("*.py"))
    image_key = _key(sources, base.name)
    model_mark, image_mark = _mark(paths.model), _mark(paths.assets / IMAGE)
    if _read(model_mark) == model_key and _read(image_mark) == image_key:
        return
    with exclusive("assets", wait_s=LOCK_WAIT_S, folder=paths.cache / ".locks"):
        if _read(model_mark) != model_key:
            say("making the toy model")
            _make_model(paths.model)
            model_mark.write_text(model_key, encoding="ascii")
        if _read(image_mark) != image_key:
            say("making the engine simulator's image")
            image_mark.unlink(missing_ok=True)
            _make_image(base, paths.assets / IMAGE)
            image_mark.write_text(image_key, encoding="ascii")


def _make_model(folder: Path) -> None:
    from rocminfra.lab import toy_model  # it needs a tokenizer library that nothing else does

    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    toy_model.build(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _make_image(base: Path, file: Path) -> None:
    from rocminfra.lab import image

    draft = file.with_name(f"{file.name}.new")
    image.build(base, draft)
    draft.rename(file)


def _key(files: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256(" ".join(words).encode())
    for file in files:
        if file.is_file():
            digest.update(f"{file.relative_to(_PACKAGE)}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _mark(made: Path) -> Path:
    """File beside ``made`` that says what it was made from."""
    return made.with_name(f"{made.name}.key")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""
