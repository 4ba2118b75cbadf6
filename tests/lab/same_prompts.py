"""The same point twice from one warm process and twice afresh, with one seed: what each sends.

    PYTHONPATH=PROGRAMS python3 same_prompts.py JOB FOLDER

Runs on a droplet with the real GuideLLM, after a benchmark whose ``job.json`` this is. Prints for
each its way to start, its requests as GuideLLM recorded them, and its control group.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rocminfra.host.bench import guidellm_launcher
from rocminfra.host.bench.scopes import launcher
from rocminfra.host.bench.warm_launcher import WarmLauncher
from rocminfra.planning.bench.guidellm_spec import command

LIMIT_S = 120.0


def spec(job: dict[str, Any]) -> dict[str, Any]:
    """A few requests one after the other, recorded whole."""
    backend = {"kind": "openai_http", "target": job["target"], "model": job["model"]}
    return {
        "spec": {
            "backend": backend,
            "profile": {"kind": "poisson", "rate": 20.0},
            "constraints": [{"kind": "max_requests", "count": 12}],
            "tokenizer": {"kind": "hf_auto", "model": job["tokenizer"]},
            "data": [
                {
                    "kind": "synthetic_text",
                    "prompt_tokens": 64,
                    "output_tokens": 16,
                    "prompt_tokens_stdev": 20,
                    "output_tokens_stdev": 4,
                }
            ],
            "seed": {"kind": "static", "value": 7},
            "metrics": {"kind": "generative", "sample_size": 100},
            "outputs": [{"kind": "json", "path": "report.json"}],
        }
    }


def main(job_path: str, folder: str) -> int:
    """Print the starts as JSON."""
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    environment = {**os.environ, **job["environment"]}
    words = command(job["guidellm_python"], guidellm_launcher.__file__)
    groups = launcher(None)
    found = []
    with WarmLauncher(groups, "same-prompts", LIMIT_S) as warm:
        for name, starts in (("a", warm), ("b", warm), ("c", groups), ("d", groups)):
            place = Path(folder) / name
            place.mkdir(parents=True)
            (place / "guidellm.json").write_text(json.dumps(spec(job)), encoding="utf-8")
            with (place / "out.log").open("wb") as out, (place / "err.log").open("wb") as err:
                running = starts.start(f"same-{name}", words, place, environment, out, err)
                code = running.wait(LIMIT_S)
                running.end()
            if code != 0:
                print((place / "err.log").read_text(encoding="utf-8"), file=sys.stderr)
                return 1
            (one,) = json.loads((place / "report.json").read_text(encoding="utf-8"))["benchmarks"]
            sent = sorted(request["request_args"] for request in one["requests"]["successful"])
            found.append({"origin": dict(running.origin), "sent": sent})
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
