"""Runs that the real GuideLLM made on practice droplets, and ways to damage copies of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.manifest import MANIFEST, format_manifest

RUNS = Path(__file__).parent / "recorded" / "runs"
DEMO = RUNS / "demo"


def copy(name: str, target: Path) -> Path:
    """A copy of a recorded run that may be changed."""
    shutil.copytree(RUNS / name, target)
    return target


def host_of(run: Path) -> Path:
    """The only host's folder."""
    (host,) = (path for path in run.iterdir() if path.is_dir())
    return host


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file; NaN may be put in, as GuideLLM does."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def edit_points(run: Path, change: Callable[[Path], None]) -> None:
    """Change every point's folder and vouch for the result, as if it had been collected so."""
    host = host_of(run)
    for point in sorted(path for path in host.iterdir() if path.is_dir()):
        change(point)
    vouch(run)


def vouch(run: Path) -> None:
    """Write the manifests again."""
    for folder in (host_of(run), run):
        (folder / MANIFEST).unlink(missing_ok=True)
        digests = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }
        (folder / MANIFEST).write_text(format_manifest(digests))
