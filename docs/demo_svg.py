"""Draws docs/demo.svg from what a run of ``make demo`` printed; nothing in it is written by hand.

make demo 2>demo.txt
python3 docs/demo_svg.py demo.txt
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = Path(__file__).with_name("demo.svg")
CHARACTER, LINE, MARGIN = 7.23, 17, 16  # of a monospaced font at 12 px
COLOURS = {"==>": "#7ee787", "$": "#ffffff", "point": "#79c0ff"}

_STAGE = re.compile(r"==> (?P<title>.+)")
_TOOK = re.compile(r"    (?P<title>.+): (?P<seconds>\d+) s")
_OF_HOST = re.compile(r"    \[demo\] +(?P<text>.+)")
_KEPT = re.compile(r"    no changes, no restarts|The whole demo took \d+ s\.")


def shown(text: str) -> list[str]:
    """The lines of a demo's output that the picture shows: stages with their times, and the table.

    + text: what ``make demo`` wrote to its standard error
    """
    # Where the checkout is, is nobody's business.
    lines = text.replace(f"{ROOT}/", "").splitlines()
    took = {m["title"]: m["seconds"] for line in lines if (m := _TOOK.fullmatch(line))}
    found = ["$ make demo"]
    in_table = False
    for line in lines:
        stage, of_host = _STAGE.fullmatch(line), _OF_HOST.fullmatch(line)
        if stage and stage["title"] in took:
            found.append(f"==> {stage['title']} ({took[stage['title']]} s)")
        elif of_host:
            in_table = in_table or of_host["text"].startswith("point ")
            if in_table and of_host["text"].strip() != "Success":
                found.append(f"    {of_host['text'].rstrip()}")
        elif _KEPT.fullmatch(line):
            found.append(line)
    if not in_table:
        raise ValueError("there is no table in it: did the demo end well?")
    return found


def svg(lines: list[str]) -> str:
    """The picture of these lines."""
    width = round(max(len(line) for line in lines) * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    text = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (index + 0.75):g}" fill="{_colour(line)}">'
        f"{escape(line)}</text>"
        for index, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">\n'
        "<title>What make demo printed</title>\n"
        "<!-- Made by docs/demo_svg.py from the output of a run; not edited. -->\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>\n'
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" '
        f'font-size="12" xml:space="preserve">\n{text}\n</g>\n</svg>\n'
    )


def _colour(line: str) -> str:
    first = line.split(maxsplit=1)[0]
    return COLOURS.get(first, "#c9d1d9")


if __name__ == "__main__":
    PICTURE.write_text(svg(shown(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
