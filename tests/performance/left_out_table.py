"""Write ``planning/prediction/left_out_errors.py`` from what ``latency_fit.py --errors`` wrote.

python tests/performance/left_out_table.py left-h100.json left-mi300x.json ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[2] / "rocminfra/planning/prediction/left_out_errors.py"
# Errors on a line of the table.
_A_LINE = 7
# Names of figures, by what they begin with or are, and the kind whose band they belong to.
KINDS = (
    ("ttft", "ttft"),
    ("TTFT", "ttft"),
    ("tpot", "itl"),
    ("itl", "itl"),
    ("ITL", "itl"),
    ("latency", "latency"),
    ("output_tokens_per_s", "throughput"),
    ("total_tokens_per_s", "throughput"),
    ("requests completed", "throughput"),
    ("tokens a second, all", "throughput"),
)


def kind_of(figure: str) -> str | None:
    """Kind of a figure; None for one that says the same as another (a duration, a rate)."""
    return next((kind for text, kind in KINDS if text in figure), None)


def main(files: list[str]) -> None:
    """Read, group, write."""
    groups: dict[tuple[Any, ...], list[float]] = {}
    for file in files:
        for row in json.loads(Path(file).read_text(encoding="utf-8")):
            kind = kind_of(row["figure"])
            if kind is None:
                continue
            key = (row["gpu"], row["count"], row["family"], row["experts"], row["fp8"], kind)
            groups.setdefault(key, []).append(row["log_error"])
    lines: list[str] = []
    for (gpu, count, family, experts, fp8, kind), errors in sorted(groups.items()):
        shape = "experts" if experts else "dense"
        head = f"{gpu} {count} {family} {shape} {'fp8' if fp8 else 'bf16'} {kind}"
        for at in range(0, len(errors), _A_LINE):
            part = " ".join(f"{error:+.3f}" for error in errors[at : at + _A_LINE])
            lines.append(f"{head} {part}\n")
    before, rest = TARGET.read_text(encoding="utf-8").split('_TABLE = """\n')
    after = rest[rest.index('"""') :]
    TARGET.write_text(before + '_TABLE = """\n' + "".join(lines) + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
