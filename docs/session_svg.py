"""Draws docs/session.svg from what the tutorial's commands printed, not by hand.

TUTORIAL_TRANSCRIPT=/tmp/session.txt python -m pytest tests/lab/test_tutorial.py
python docs/session_svg.py /tmp/session.txt
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("session.svg")
WIDTH = 100
# Of each command, so that the whole session stays readable; what is cut is said.
LINES = {"apply": 6, "bench": 12, "report": 24, "plan": 14, "remove": 22}
OTHERS = 8


def lines(transcript: str) -> list[str]:
    """The session as it is drawn: every command with the end of its output.

    + transcript: commands after "$ ", each with its output
    """
    found: list[str] = []
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = part.rstrip().partition("\n")
        printed = [line for line in output.splitlines() if line.strip()]
        words = command.split()
        most = LINES.get(words[1] if len(words) > 1 else "", OTHERS)
        found.append(f"$ {command}")
        if len(printed) > most:
            found.append(f"  … {len(printed) - most} lines")
        found += printed[max(0, len(printed) - most) :]
    return found


def svg(shown: list[str]) -> str:
    """The picture of these lines, as Rich draws a terminal."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in shown:
        style = "bold white" if line.startswith("$ ") else "dim" if line.startswith("  … ") else ""
        console.print(Text(line, style=style), no_wrap=True, overflow="ellipsis", crop=True)
    drawn = console.export_svg(title="rocminfra on a practice droplet", unique_id="session")
    # A picture in a README loads no fonts from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    text = svg(lines(Path(sys.argv[1]).read_text(encoding="utf-8")))
    PICTURE.write_text(text, encoding="utf-8")
