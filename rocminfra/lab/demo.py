"""``make demo``: the whole main job on a practice droplet, as a new user would run it.

Every stage is one of the commands that the README names, run as a process, so that what the demo
shows is what the user gets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rocminfra.bench.job import new_run_id
from rocminfra.bench.results import verify
from rocminfra.failure import FailedError, lines
from rocminfra.lab import lock, processes, requirements

DROPLET = "demo"
# Where `make` puts it; nobody who tries the demo has it on the search path.
COMMAND = ".venv/bin/rocminfra lab"
RESULTS = "results"
ROOT = Path(__file__).resolve().parents[2]
DROPLET_STAGE = "Practice droplet"
DEPLOY_STAGE = "pyinfra -y inventory/lab.py deploy.py"
AGAIN_STAGE = "The same again: nothing may change"
BENCHMARK_STAGE = "pyinfra -y inventory/lab.py tasks/benchmark.py"
REPORT_STAGE = "rocminfra report"
STAGES = (DROPLET_STAGE, DEPLOY_STAGE, AGAIN_STAGE, BENCHMARK_STAGE, REPORT_STAGE)
STATE = (
    "systemctl show --property InvocationID --value vllm.service docker.service; "
    "docker inspect --format '{{.State.StartedAt}}' $(docker ps -q); "
    "findmnt -n -o SOURCE,FSTYPE,OPTIONS /mnt/models; cat /mnt/models/.rocminfra-scratch"
)


class DemoFailed(Exception):
    """A stage did not do what it should; the message says what, and what to run next."""


def main() -> int:
    """Run the demo.

    The exit code is 0; 1 when a stage failed; 6 without root; 9 while another demo runs.
    """
    started = time.monotonic()
    try:
        requirements.check_root("sudo make demo")
        with lock.exclusive("demo"):
            # What a killed demo left running would go on in this one's droplet.
            processes.end(lock.started_under("demo"))
            _run()
    except FailedError as error:
        print(*lines(error.failure), sep="\n", file=sys.stderr)
        return error.failure.kind
    except DemoFailed as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        print(f"next: {COMMAND} logs {DROPLET}; make clean-lab", file=sys.stderr)
        return 1
    print(f"\nThe whole demo took {time.monotonic() - started:.0f} s.", file=sys.stderr)
    print(f"Look around: {COMMAND} ssh {DROPLET}", file=sys.stderr)
    print("Take it away: make clean-lab", file=sys.stderr)
    return 0


def _run() -> None:
    with _stage(DROPLET_STAGE):
        # Left over from a demo that was killed, or from the one before: this one starts afresh.
        _call([*_rocminfra("lab"), "down", DROPLET, "--if-exists"])
        _call([*_rocminfra("lab"), "up", "--name", DROPLET])
    with _stage(DEPLOY_STAGE):
        _call(_pyinfra("deploy.py"))
    before = _observe()
    with _stage(AGAIN_STAGE):
        changed = _changes(_call([*_pyinfra("deploy.py"), "--json"], capture=True))
    if changed:
        raise DemoFailed(f"the second run changed: {', '.join(changed)}")
    after = _observe()
    if after != before:
        raise DemoFailed(f"the second run restarted something:\n{before}\n{after}")
    print("    no changes, no restarts", file=sys.stderr)
    run = new_run_id()
    with _stage(BENCHMARK_STAGE):
        results = ["--data", f"bench.results_dir={ROOT / RESULTS}"]
        _call([*_pyinfra("tasks/benchmark.py"), "--data", "bench.scenario=smoke", *results])
    # What began at this time or later is this demo's.
    made = [path for path in (ROOT / RESULTS).glob("*Z*") if path.name >= run]
    for folder in made:
        problems = verify(folder)
        if problems:
            raise DemoFailed(f"the results in {folder} are not intact: {'; '.join(problems)}")
        print(f"    every file of {folder.name} matches its manifest", file=sys.stderr)
    with _stage(REPORT_STAGE):
        for folder in made:
            _call([*_rocminfra("report"), str(folder)])


def _rocminfra(*words: str) -> list[str]:
    return [sys.executable, "-m", "rocminfra", *words]


def _pyinfra(task: str) -> list[str]:
    command = [sys.executable, "-m", "pyinfra", "-y", "inventory/lab.py", task]
    return [*command, "--limit", DROPLET]


def _observe() -> str:
    return _call([*_rocminfra("lab"), "ssh", DROPLET, STATE], capture=True)


def _changes(text: str) -> list[str]:
    results = json.loads(text)["results"]
    return [item["name"] for item in results["operations"] if item["success"] or item["error"]]


def _call(command: list[str], capture: bool = False) -> str:
    """Run a stage's command from the playbook's folder; its output is the user's to see."""
    result = subprocess.run(
        command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE if capture else None
    )
    if result.returncode != 0:
        raise DemoFailed(f"`{' '.join(command[2:])}` ended with exit code {result.returncode}")
    return result.stdout or ""


@contextmanager
def _stage(title: str) -> Iterator[None]:
    print(f"\n==> {title}", file=sys.stderr, flush=True)
    started = time.monotonic()
    yield
    print(f"    {title}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
