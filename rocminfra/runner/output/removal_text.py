"""What is taken away from hosts, and what stays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rocminfra.planning.removal import Removal
from rocminfra.runner.hosts.asking import Answered
from rocminfra.runner.output.terminal import styled


def print_removal(answers: Sequence[Answered[Removal]]) -> None:
    """The plan of every host that has one."""
    for answered in answers:
        if answered.answer is None:
            continue
        print(styled(answered.name, "bold", sys.stdout))
        for step in answered.answer.steps:
            print(f"  {styled('-', 'red', sys.stdout)} {step.words}")
        for kept in answered.answer.kept:
            print(f"  {styled('=', 'green', sys.stdout)} stays: {kept.what} ({kept.why})")


def removal_body(plan: Removal | None, removed: bool) -> dict[str, Any]:
    """A host's own keys in the document.

    + removed: whether the steps were to be taken, and not only planned
    """
    steps = [] if plan is None else [{"kind": s.kind.value, "words": s.words} for s in plan.steps]
    kept = [] if plan is None else [{"what": one.what, "why": one.why} for one in plan.kept]
    return {"steps": steps, "kept": kept, "removed": removed and plan is not None}
