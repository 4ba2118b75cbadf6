"""Options of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# pytest's workers get it, and so may a developer's shell: tables then have another width.
os.environ.pop("COLUMNS", None)

# What shares a droplet, the virtual machine or a browser stays with one worker.
ROOMS = ("lab", "vm", "browser", "soak")

# Hypothesis fails an example that takes longer than 200 ms: on a busy machine, any of them.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ``pytest --dist loadgroup`` keeps together: a room, elsewhere a file."""
    for item in items:
        name = item.path.relative_to(Path(__file__).parent)
        group = name.parts[0] if name.parts[0] in ROOMS else str(name)
        item.add_marker(pytest.mark.xdist_group(group))
