"""What host programs say of the tools that they ran."""

from __future__ import annotations

import pytest

from rocminfra.facts.tool_output import NotUnderstood, loads_tool, text_of


def test_json_of_a_tool_that_ran() -> None:
    assert loads_tool({"rc": 0, "out": '{"a": 1}', "err": ""}, "lsblk") == {"a": 1}


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (None, "lsblk did not run"),
        ({"rc": 0}, "lsblk did not run"),
        ({"rc": 4, "out": "", "err": "no"}, "lsblk: exit code 4, no"),
        ({"rc": None, "out": "", "err": ""}, "lsblk: gave no exit code"),
        ({"rc": 0, "out": "oops", "err": ""}, "lsblk did not print JSON: 'oops'"),
    ],
)
def test_anything_else_is_named(run: object, says: str) -> None:
    with pytest.raises(NotUnderstood) as caught:
        loads_tool(run, "lsblk")
    assert str(caught.value) == says


def test_a_file_that_was_not_read_is_named() -> None:
    assert text_of({"text": "x"}, "fstab") == "x"
    with pytest.raises(NotUnderstood, match="fstab: denied"):
        text_of({"error": "denied"}, "fstab")
    with pytest.raises(NotUnderstood, match="fstab: not read"):
        text_of(None, "fstab")
