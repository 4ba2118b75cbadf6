"""``requests.jsonl`` of a point, made of GuideLLM's report, which keeps a sample afterwards.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.host.bench.files import write_atomic
from rocminfra.planning.bench.requests import REQUESTS, Request, lines, requests, sampled


def keep_requests(
    folder: Path, report: Mapping[str, Any], attempt: int, sample_size: int
) -> tuple[Request, ...]:
    """Write ``requests.jsonl``, cut ``report.json`` to a sample, and return all requests.

    + folder: the point's folder
    + report: GuideLLM's report with one benchmark, with every request in it
    + attempt: number of the attempt that made it
    + sample_size: requests of each outcome that the report keeps
    """
    (benchmark,) = report["benchmarks"]
    found = requests(benchmark, attempt)
    write_atomic(folder / REQUESTS, "".join(f"{line}\n" for line in lines(found)))
    # Last: without the lines, the report is the only record of its requests.
    write_atomic(folder / "report.json", json.dumps(sampled(report, sample_size)) + "\n")
    return found
