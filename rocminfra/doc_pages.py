"""The pages of docs/ that come with the package: in the wheel, or in a checkout."""

from __future__ import annotations

import re
from pathlib import Path

# Topic: file in docs/. What is for contributors, or would be out of date, is left out.
TOPICS = (
    "benchmark",
    "ci",
    "command",
    "day-two",
    "docker",
    "droplets",
    "engine",
    "errors",
    "lab",
    "planning",
    "reports",
    "storage",
    "tutorial",
    "undo",
)


def page(topic: str) -> str:
    """Text of a page, in Markdown; KeyError for one that there is not.

    + topic: of TOPICS, or the code of an error such as ``RI-501``, whose section it is then
    """
    if re.fullmatch(r"RI-\d{3}", topic):
        return _section(_text("errors"), topic)
    if topic not in TOPICS:
        raise KeyError(topic)
    return _text(topic)


def title(topic: str) -> str:
    """The heading of a page."""
    return _text(topic).partition("\n")[0].removeprefix("# ").replace("`", "")


def _text(topic: str) -> str:
    package = Path(__file__).parent
    for folder in (package / "pages", package.parent / "docs"):
        path = folder / f"{topic}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise KeyError(topic)


def _section(text: str, code: str) -> str:
    match = re.search(rf"^### {code} .*?(?=^##|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    if match is None:
        raise KeyError(code)
    return match[0].strip() + "\n"
