"""A lab in a temporary folder, and records of droplets that nobody has made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.paths import LabPaths


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    return LabPaths(tmp_path / "state", tmp_path / "cache")


@pytest.fixture
def record() -> Callable[..., Droplet]:
    """Makes the record of a droplet."""

    def make(name: str, number: int = 7) -> Droplet:
        return Droplet(
            name=name,
            number=number,
            subnet="10.83",
            disk_gib=5120,
            time_scale=20.0,
            rocm=7,
            release="bookworm",
            base="/base",
            cache="/cache",
            model="/model",
            created="2026-01-01T00:00:00Z",
        )

    return make
