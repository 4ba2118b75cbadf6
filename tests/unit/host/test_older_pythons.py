"""Programs for the host run with the Pythons of older hosts too, from 3.8 on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rocminfra

PACKAGE = Path(rocminfra.__file__).parent
FOLDERS = (
    "host/bench",
    "host/fetch",
    "host/installed",
    "host/sent",
    "hub",
    "planning/bench",
    "planning/gpus",
)
PROGRAMS = sorted(file for folder in FOLDERS for file in (PACKAGE / folder).glob("*.py"))
# What came after 3.8 and is used before one thinks of it.
NEWER_METHODS = {"removeprefix", "removesuffix", "is_relative_to", "hardlink_to", "bit_count"}
NEWER_KEYWORDS = {("zip", "strict"), ("dataclass", "slots"), ("dataclass", "kw_only")}
NEWER_MODULES = {"tomllib", "zoneinfo", "graphlib"}


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_newer_is_used(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    found: list[str] = []
    for node in ast.walk(ast.parse(text, feature_version=(3, 8))):
        if isinstance(node, ast.Attribute) and node.attr in NEWER_METHODS:
            found.append(node.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            used = {(node.func.id, keyword.arg) for keyword in node.keywords}
            found += [f"{name}({keyword}=)" for name, keyword in used & NEWER_KEYWORDS]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in node.names} | {module_of(node)}
            found += sorted(names & NEWER_MODULES)
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            # Annotations as `int | None` must stay texts.
            assert "from __future__ import annotations" in text
    assert found == []


def module_of(node: ast.Import | ast.ImportFrom) -> str:
    return (node.module or "") if isinstance(node, ast.ImportFrom) else ""
