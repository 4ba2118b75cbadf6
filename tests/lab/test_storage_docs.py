"""The table of docs/storage.md is the table of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk_vm_states import VM_STATES, VmState
from storage_preparations import UUID
from storage_states import STATES, State

PAGE = Path(__file__).parents[2] / "docs/storage.md"
MARK = "<!-- states: made by tests/lab/test_storage_docs.py --update-golden -->\n"


def row(state: State | VmState) -> str:
    says = "the UUID that fstab has" if state.says == UUID else state.says.replace(UUID, "its UUID")
    token = " (and the token)" if state.token else ""
    return f"| {state.name} | {state.decision} | … {says} …{token} |"


HEAD = ("", "| state | decision | the message says |", "|---|---|---|")


def table() -> str:
    lines = [
        "",
        f"## {len(STATES) + len(VM_STATES)} states, tried on real block devices",
        "",
        "Each is a test: the decision, the message, the exit code, and for a refusal the SHA-256",
        "of the disk and its write counter (of the running root disk, only the decision).",
        "",
        f"{len(STATES)} on loop devices (`tests/lab/test_storage_states.py`):",
        *HEAD,
        *map(row, STATES),
        "",
        f"{len(VM_STATES)} in a virtual machine with udev, device mapper and boots (`tests/vm`):",
        *HEAD,
        *map(row, VM_STATES),
    ]
    return "\n".join(lines) + "\n"


def test_the_page_has_the_states_of_the_tests(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    head, mark, _ = text.partition(MARK)
    assert mark, "the page has lost its mark"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(head + mark + table(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == head + mark + table(), "run it with --update-golden"


def test_no_two_states_have_one_name() -> None:
    assert len({state.name for state in (*STATES, *VM_STATES)}) == len(STATES) + len(VM_STATES)
