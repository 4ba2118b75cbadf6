"""`rocminfra bench collect`, and how long its parts took: `timed_collect.py TIMES RUN OPTION…`

TIMES becomes JSON: ``files``, the seconds from the first question for a file until all of them are
here and verified; ``report``, those of the run's report; ``cpu``, this process's processor time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rocminfra.bench.collecting import Collector
from rocminfra.runner.cli import main
from rocminfra.runner.verbs import shared

if TYPE_CHECKING:
    from rocminfra.runner.run.results import RunResult

times, *words = sys.argv[1:]
took: dict[str, float] = {}
fetch_once = Collector._fetch_once
reported = shared._reported


def timed(
    self: Collector, left: Mapping[str, int], folder: Path, here: dict[str, str]
) -> list[str]:
    began = time.monotonic()
    problems = fetch_once(self, left, folder, here)
    took["files"] = took.get("files", 0.0) + time.monotonic() - began
    return problems


def timed_report(result: RunResult) -> list[str]:
    began = time.monotonic()
    lines = reported(result)
    took["report"] = time.monotonic() - began
    return lines


Collector._fetch_once = timed  # type: ignore[method-assign]
shared._reported = timed_report
try:
    main(["bench", "collect", *words])
finally:
    took["cpu"] = time.process_time()
    Path(times).write_text(json.dumps(took), encoding="utf-8")
