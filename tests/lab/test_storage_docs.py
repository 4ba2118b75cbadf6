"""The table of docs/storage.md is the table of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_states import STATES, State

PAGE = Path(__file__).parents[2] / "docs/storage.md"
MARK = "<!-- states: made by tests/lab/test_storage_docs.py --update-golden -->\n"


def row(state: State) -> str:
    says = state.says.replace("|", "\\|")
    if len(says) == 36 and says.count("-") == 4:
        says = "the UUID that fstab has"
    token = " (and the token)" if state.token else ""
    return f"| {state.name} | {state.decision} | … {says} …{token} |"


def table() -> str:
    lines = [
        "",
        f"## {len(STATES)} states, tried on real block devices",
        "",
        "Each is a test (`tests/lab/test_storage_states.py`): the decision, the message, the exit",
        "code, and for a refusal the SHA-256 of the disk and its write counter. What needs real",
        "boots, udev, serial numbers, device mapper, md, LVM or LUKS is in `tests/vm`.",
        "",
        "| state | decision | the message says |",
        "|---|---|---|",
        *map(row, STATES),
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
    assert len({state.name for state in STATES}) == len(STATES)
