"""`rocminfra bench collect`, and how long its files took: `timed_collect.py REPORT RUN OPTION…`

REPORT gets the seconds from the first question for a file until all of them are here and verified:
without Python's start, the connection, the list of what is to come, and the report of the run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rocminfra.bench.collecting import Collector
from rocminfra.runner.cli import main

report, *words = sys.argv[1:]
fetch_once = Collector._fetch_once


def timed(
    self: Collector, left: Mapping[str, int], folder: Path, here: dict[str, str]
) -> list[str]:
    began = time.monotonic()
    problems = fetch_once(self, left, folder, here)
    Path(report).write_text(f"{time.monotonic() - began}")
    return problems


Collector._fetch_once = timed  # type: ignore[method-assign]
main(["bench", "collect", *words])
