"""Write the errors of published runs that were left out, from ``latency_fit.py --errors``.

python tests/performance/left_out_table.py left-h100.json left-mi300x.json ...

The errors go into ``planning/prediction/left_out_errors.py``, the constants that they were
predicted by into ``benchmarks/published/left-out.yaml``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "rocminfra/planning/prediction/left_out_errors.py"
PUBLISHED = ROOT / "benchmarks/published"
CONSTANTS = PUBLISHED / "left-out.yaml"
_HEAD = """\
# Constants that were fitted without a source, by GPU and source: its file here, or the reference
# run. Written by tests/performance/left_out_table.py; those in use are rounded from a fit on all.
"""
# Columns of a line of the table.
_COLUMNS = 99
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


def names() -> dict[str, str]:
    """Files by source."""
    found = {"the reference run": "reference"}
    for file in PUBLISHED.glob("*.yaml"):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "runs" in document:
            found[document["source"]] = file.stem
    return found


def main(files: list[str]) -> None:
    """Read, group, write."""
    stems = names()
    groups: dict[tuple[Any, ...], list[float]] = {}
    constants: dict[str, dict[str, dict[str, float]]] = {}
    for file in files:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
        for gpu, by_source in found["constants"].items():
            constants[gpu] = {stems[source]: values for source, values in by_source.items()}
        for row in found["errors"]:
            kind = kind_of(row["figure"])
            if kind is None:
                continue
            key = (row["gpu"], row["count"], row["family"], row["experts"], row["fp8"], kind)
            groups.setdefault((*key, stems[row["source"]]), []).append(row["log_error"])
    text = yaml.safe_dump(constants, default_flow_style=None, sort_keys=False, width=10_000)
    CONSTANTS.write_text(_HEAD + text, encoding="utf-8")
    lines: list[str] = []
    for (gpu, count, family, experts, fp8, kind, source), errors in sorted(groups.items()):
        shape = "experts" if experts else "dense"
        head = f"{gpu} {count} {family} {shape} {'fp8' if fp8 else 'bf16'} {kind} {source}"
        a_line = (_COLUMNS - len(head)) // len(" +0.000")
        for at in range(0, len(errors), a_line):
            part = " ".join(f"{error:+.3f}" for error in errors[at : at + a_line])
            lines.append(f"{head} {part}\n")
    before, rest = TARGET.read_text(encoding="utf-8").split('_TABLE = """\n')
    after = rest[rest.index('"""') :]
    TARGET.write_text(before + '_TABLE = """\n' + "".join(lines) + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
