"""Both published scenarios on a droplet that serves, short enough for `make test`.

`make soak` runs them with all of their points (tests/soak/test_published.py).
"""

from __future__ import annotations

import json
from pathlib import Path

from deploys import pyinfra
from lab_host import LabHost

DOCVQA = """\
based_on: lab_docvqa
data: {kind: document_pages, pages: 40, questions_per_page: 6}
max_seconds: 8
warmup_seconds: 1
"""
# Fewer points and requests in flight, so that it ends in time.
SWEEP = """\
based_on: lab_sweep_native
stages: [{profile: sweep, size: 3, native: true, max_concurrency: 4}]
max_seconds: 12
warmup_seconds: 1
"""


def check_docvqa(host: LabHost, folder: Path) -> None:
    """Streams, size of pages and columns are the published run's; images are counted twice."""
    point = _bench(host, DOCVQA, folder) / "01-concurrent-64"
    record = json.loads((point / "point.json").read_text())
    assert record["outcome"] == "valid"
    assert record["figures"]["image_pixels_mean"] == 1700 * 2200
    assert record["figures"]["completed"] + record["figures"]["incomplete"] >= 64
    sent = _images_at(point / "metrics_after.prom") - _images_at(point / "metrics_before.prom")
    assert sent >= record["figures"]["completed"]
    made = host.ok("ls /var/lib/rocminfra/datasets").split()
    assert made == ["document-pages-v1-40x6-42.parquet"]


def check_native_sweep(host: LabHost, folder: Path) -> None:
    """One process, the published tokens, and a folder for each point."""
    results = _bench(host, SWEEP, folder)
    assert json.loads((results / "01-sweep" / "stage.json").read_text())["outcome"] == "valid"
    found = sorted(results.glob("01-sweep-*/point.json"))
    assert [path.parent.name for path in found] == [
        *("01-sweep-constant-1", "01-sweep-synchronous", "01-sweep-throughput"),
    ]
    for path in found:
        record = json.loads(path.read_text())
        assert record["outcome"] == "valid"
        assert record["figures"]["output_tokens_p50"] == 1024
        assert abs(record["figures"]["prompt_tokens_p50"] - 8211) <= 8


def _bench(host: LabHost, text: str, folder: Path) -> Path:
    """Run a scenario; the host's folder of results."""
    scenario = folder / "short.yaml"
    scenario.write_text(text)
    run = pyinfra(
        (host,),
        *("-y", "tasks/benchmark.py", "--json", "--data", f"bench.scenario={scenario}"),
        *("--data", f"bench.results_dir={folder}"),
    )
    assert run.code == 0, run.err
    (results,) = folder.glob(f"*/{host.name}")
    return results


def _images_at(metrics: Path) -> float:
    """Images that the engine was sent, by its own counter."""
    name = "vllm:mm_cache_queries_total{"
    values = [line for line in metrics.read_text().splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in values)
