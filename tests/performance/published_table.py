"""Published against predicted, as ``docs/planning.md`` shows it.

    python tests/performance/published_table.py            # prints the tables
    python tests/performance/published_table.py --write    # puts them into docs/planning.md

A run is a line: what it measured before the arrow, behind it what today's constants predict.
``tests/unit/planning/test_planning_page.py`` holds the page against the runs that take no time.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "planning"))

from published_page import capacity_lines, run_line, runs_by_file

from rocminfra.planning.prediction.published_runs import predicted_figures

PAGE = Path(__file__).parents[2] / "docs" / "planning.md"
BEGIN, END = "<!-- published: begin -->\n", "<!-- published: end -->\n"


def summary(errors: Iterable[float]) -> str:
    """Median error and share within 20 %, of logarithms."""
    off = [abs(math.exp(error) - 1) for error in errors]
    within = sum(one <= 0.2 for one in off) / len(off)
    return f"median error {median(off):.0%}, {within:.0%} of {len(off)} figures within 20 %"


def tables() -> str:
    """All sources, one after the other, and start-up logs."""
    lines: list[str] = []
    every: list[float] = []
    with ProcessPoolExecutor(2) as pool:
        for document, runs in runs_by_file():
            found = list(pool.map(predicted_figures, runs))
            errors = [
                math.log(value / run.figures[name])
                for run, predicted in zip(runs, found, strict=True)
                for name, value in predicted.items()
                if value
            ]
            every += errors
            lines += [
                f"**{document['source']}**, {document['date']}, {document['engine']}: "
                f"{summary(errors)}",
                "",
                "| run | GPUs | published → predicted |",
                "|---|---|---|",
                *(run_line(run, predicted) for run, predicted in zip(runs, found, strict=True)),
                "",
            ]
    return "\n".join([f"All of them: {summary(every)}.", "", *lines, *capacity_lines()]) + "\n"


def main(arguments: list[str]) -> int:
    """Print, or write into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    text = tables()
    if not options.write:
        print(text)
        return 0
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
