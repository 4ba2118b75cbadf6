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
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "planning"))

from latency_fit import REFERENCE, errors_of
from left_out_table import kind_of, names
from published_page import capacity_lines, left_out_lines, run_line, runs_by_file, summary

from rocminfra.planning.engine.gpus import MI300X
from rocminfra.planning.engine.latency_constants import constants_of
from rocminfra.planning.prediction.published_runs import predicted_figures

PAGE = Path(__file__).parents[2] / "docs" / "planning.md"
Inside = dict[tuple[str, str, str], list[float]]  # by GPU, source, kind of figure


def tables() -> tuple[str, str]:
    """In-sample errors beside left-out ones; all sources, one by one, and start-up logs."""
    lines: list[str] = []
    every: list[float] = []
    stems = names()
    inside: Inside = {}
    for _, figure, error in errors_of((None, constants_of(MI300X).constants)):
        if (kind := kind_of(figure)) is not None:
            inside.setdefault((MI300X.key, stems[REFERENCE], kind), []).append(error)
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
            for run, predicted in zip(runs, found, strict=True):
                for name, value in predicted.items():
                    if value and (kind := kind_of(name)) is not None:
                        key = (run.variant.gpu.key, stems[run.source], kind)
                        error = math.log(value / run.figures[name])
                        inside.setdefault(key, []).append(error)
            lines += [
                f"**{document['source']}**, {document['date']}, {document['engine']}: "
                f"{summary(errors)}",
                "",
                "| run | GPUs | published → predicted |",
                "|---|---|---|",
                *(run_line(run, predicted) for run, predicted in zip(runs, found, strict=True)),
                "",
            ]
    whole = [f"All of them: {summary(every)}.", "", *lines, *capacity_lines()]
    return "\n".join(left_out_lines(inside)) + "\n", "\n".join(whole) + "\n"


def main(arguments: list[str]) -> int:
    """Print, or write into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    sureness, published = tables()
    if not options.write:
        print(sureness, published, sep="\n")
        return 0
    page = PAGE.read_text(encoding="utf-8")
    for mark, text in (("left out", sureness), ("published", published)):
        begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
        before, rest = page.split(begin)
        page = before + begin + text + end + rest.split(end)[1]
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
