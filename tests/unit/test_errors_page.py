"""The catalogue of faults and its page are the same list, and every failure is in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from rocminfra.failure import ExitCode, Fault

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^### (RI-\d{3}) (.+)\n([^#]+)", PAGE, flags=re.MULTILINE)
SOURCES = [
    file for folder in ("rocminfra", "tasks") for file in sorted((ROOT / folder).rglob("*.py"))
]


def test_every_fault_has_a_section_and_every_section_a_fault() -> None:
    assert [code for code, _, _ in SECTIONS] == sorted(fault.code for fault in Fault)


def test_every_section_says_something() -> None:
    assert [code for code, _, text in SECTIONS if len(text.split()) < 5] == []
    titles = [title for _, title, _ in SECTIONS]
    assert len(set(titles)) == len(titles)


def test_the_first_digit_is_the_exit_code() -> None:
    for fault in Fault:
        assert fault.kind in set(ExitCode) - {ExitCode.DONE, ExitCode.CHANGES, ExitCode.INTERRUPTED}
        assert fault.code == f"RI-{int(fault.kind)}{fault.value % 100:02d}"


def test_every_fault_is_used() -> None:
    used = set()
    for file in SOURCES:
        used |= set(re.findall(r"Fault\.([A-Z_]+)", file.read_text(encoding="utf-8")))
    assert sorted({fault.name for fault in Fault} - used) == []


def test_no_failure_is_made_without_a_fault() -> None:
    """mypy says so as well; this also sees what it takes for Any."""
    bad = []
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Failure", "FailedError")
                and node.args
                and ast.unparse(node.args[0]).startswith("ExitCode")
            ):
                bad.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert bad == []
