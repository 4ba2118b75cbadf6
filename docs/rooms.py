#!/usr/bin/env python3
"""Draw which rooms of rocminfra import which, from the imports themselves.

python3 docs/rooms.py            # print the diagram (Mermaid)
python3 docs/rooms.py --write    # and put it into docs/architecture.md
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rocminfra"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms -->", "<!-- /rooms -->"
# Drawn as the boxes they are in, because everything may import them or nothing imports them.
LEFT_OUT = {
    *("doc_pages", "failure", "host_answers", "host_paths", "playbook_files", "reference_run"),
    *("__main__", "", "lab"),
}


def room(module: str) -> str:
    """The folder of a module, such as ``planning/disk``; a module at the top is its own room."""
    parts = module.split(".")[1:]
    if parts and not PACKAGE.joinpath(*parts).is_dir() and len(parts) > 1:
        parts.pop()
    return "/".join(parts)


def imports() -> dict[str, set[str]]:
    """Rooms by room that imports them."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE).with_suffix("")
        own = room(".".join(("rocminfra", *relative.parts)).removesuffix(".__init__"))
        if own.split("/")[0] in LEFT_OUT:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rocminfra"):
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    file = ROOT.joinpath(*name.split("."))
                    is_module = file.is_dir() or file.with_suffix(".py").is_file()
                    other = room(name if is_module else str(node.module))
                    if other != own and other.split("/")[0] not in LEFT_OUT:
                        found.setdefault(own, set()).add(other)
    return found


def direct(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The edges that no other path implies: a picture of all of them is unreadable."""

    def below(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(edges.get(name, ()))
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                waiting += edges.get(other, ())
        return seen

    return {
        name: {
            other
            for other in others
            if not any(other in below(between) for between in others - {other})
        }
        for name, others in edges.items()
    }


def diagram() -> str:
    """The rooms as a Mermaid flow chart, each arrow an import."""
    lines = ["```mermaid", "flowchart BT"]
    for name, others in sorted(direct(imports()).items()):
        for other in sorted(others):
            lines.append(f'    {_id(name)}["{name}"] --> {_id(other)}["{other}"]')
    return "\n".join([*lines, "```"])


def _id(name: str) -> str:
    return name.replace("/", "_")


if __name__ == "__main__":
    text = diagram()
    if "--write" in sys.argv[1:]:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    print(text)
