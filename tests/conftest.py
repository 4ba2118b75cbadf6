"""Options of the whole suite."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# pytest's workers get it, and so may a developer's shell: tables then have another width.
os.environ.pop("COLUMNS", None)

# Hypothesis fails an example that takes longer than 200 ms: on a busy machine, any of them.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )
