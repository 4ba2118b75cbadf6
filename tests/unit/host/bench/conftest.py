"""An engine and a GuideLLM that are fakes, for the tests of the programs on the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_fakes import FakeEngine, fake_guidellm


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine().serving() as serving:
        yield serving


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return fake_guidellm(tmp_path / "guidellm")
