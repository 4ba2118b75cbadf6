"""Check the results of host programs: a tool's run, a file's text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class NotUnderstood(ValueError):
    """A tool is missing, failed, or printed output that it does not usually print."""


def loads_tool(run: Any, name: str) -> Any:
    """The JSON printed by a tool.

    + run: ``{"rc": …, "out": …, "err": …}`` from the host program
    + name: name of the tool, for messages

    Raises :class:`NotUnderstood` when the tool failed or did not print JSON.
    """
    check_run(run, name)
    if run["rc"] != 0:
        raise NotUnderstood(failure(run, name))
    try:
        return json.loads(run["out"])
    except ValueError:
        raise NotUnderstood(f"{name} did not print JSON: {run['out'][:80]!r}") from None


def check_run(run: Any, name: str) -> None:
    """Raise :class:`NotUnderstood` unless ``run`` records a tool's run."""
    if not isinstance(run, Mapping) or not {"rc", "out", "err"} <= set(run):
        raise NotUnderstood(f"{name} did not run")


def failure(run: Mapping[str, Any], name: str) -> str:
    """How a tool failed, in one line."""
    code = "gave no exit code" if run["rc"] is None else f"exit code {run['rc']}"
    return f"{name}: {code}" + (f", {run['err']}" if run["err"] else "")


def text_of(file: Any, name: str) -> str:
    """A file's text from the host program; raises :class:`NotUnderstood` if it was unreadable."""
    if not isinstance(file, Mapping) or not isinstance(file.get("text"), str):
        reason = file.get("error", "not read") if isinstance(file, Mapping) else "not read"
        raise NotUnderstood(f"{name}: {reason}")
    return str(file["text"])
