"""The picture of the tutorial's session is drawn from a transcript alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("session_svg", ROOT / "docs" / "session_svg.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TRANSCRIPT = "$ rocminfra status\n" + "".join(f"row {n}\n" for n in range(20)) + "$ cd x\n"


def test_of_a_long_output_the_end_is_shown_and_the_rest_counted() -> None:
    lines = script().lines(TRANSCRIPT)
    assert lines[:2] == ["$ rocminfra status", "  … 12 lines"]
    assert lines[2:] == [*(f"row {n}" for n in range(12, 20)), "$ cd x"]


def test_the_picture_is_whole_and_loads_nothing() -> None:
    drawn = script().svg(["$ a <b> & c", "x" * 300])
    ElementTree.fromstring(drawn)
    assert "font-face" not in drawn
    assert "url(http" not in drawn
    assert "&lt;b&gt;" in drawn
