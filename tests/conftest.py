"""Options of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Hypothesis fails an example that takes longer than 200 ms: on a busy machine, any of them.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )
