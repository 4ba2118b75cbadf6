"""A folder of wheels, as the fact reads it."""

from __future__ import annotations

import json

from rocminfra.facts.wheels import WheelFolder
from rocminfra.planning.wheels import Wheel


def test_no_answer_is_a_problem() -> None:
    assert "python3" in WheelFolder.default().problem
    assert WheelFolder().process(["sh: python3: not found", "exit code 127"]).problem


def test_the_document_becomes_a_record() -> None:
    document = {
        "kind": "folder",
        "wheels": [{"file": "a-1-py3-none-any.whl", "requires": None}],
        "others": [],
        "markers": {"python_version": "3.11"},
        "libc": ["", ""],
    }
    found = WheelFolder().process([json.dumps(document)])
    assert found.wheels == (Wheel("a-1-py3-none-any.whl", None),)
    assert found.glibc is None
    document["libc"] = ["glibc", "2.36"]
    assert WheelFolder().process([json.dumps(document)]).glibc == (2, 36)
