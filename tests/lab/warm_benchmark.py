"""A benchmark with the real GuideLLM while it runs: its scopes and their processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab_host import LabHost

ROOT = Path(__file__).parents[2]
PYINFRA = (sys.executable, "-m", "pyinfra", "-y")
PATIENCE_S = 180.0
RUNS = "/var/lib/rocminfra/runs"
# The unified hierarchy, or systemd's own of version 1.
HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")


class WarmBenchmark:
    """A run that was just started.

    + scenario: its text
    + folder: for its scenario and results

    A context manager: nothing of it runs any more when its test has ended, or failed.
    """

    def __init__(self, host: LabHost, scenario: str, folder: Path) -> None:
        self.host = host
        self._results = folder / "results"
        (folder / "warm.yaml").write_text(scenario)
        data = {"bench.scenario": folder / "warm.yaml", "bench.results_dir": self._results}
        words = [f"--data={key}={value}" for key, value in data.items()]
        runs = self._runs()
        task = ("inventory/lab.py", "tasks/benchmark.py")
        self._command = [*PYINFRA, *task, *words, "--limit", host.name]
        self._said: str | None = None
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_until(lambda: len(self._runs() - runs) == 1)
        except BaseException:
            self._leave()
            raise
        (self.run,) = self._runs() - runs
        self.service = f"rocminfra-bench-{self.run}.service"

    def __enter__(self) -> WarmBenchmark:
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()
        # Its scopes are bound to it.
        self.host.ssh(f"systemctl stop {self.service}")

    def wait_for_load(self, streams: int) -> str:
        """Name of the point with this many streams, once it sends requests."""
        name = f"01-concurrent-{streams}"
        path = f"{RUNS}/{self.run}/{name}/launch.json"

        def is_sending() -> bool:
            said = self.host.ssh(f"cat {path}").stdout
            return bool(said) and json.loads(said)["first_request"] is not None

        wait_until(is_sending)
        return name

    def scope(self, name: str) -> str:
        """The unit of a point, or of the warm process ``guidellm-1``."""
        return f"rocminfra-bench-{self.run}-{name}.scope"

    def processes(self, unit: str) -> set[int]:
        """What runs in a unit; empty when it is gone."""
        files = [f"{top}/system.slice/{unit}/cgroup.procs" for top in HIERARCHIES]
        said = self.host.ssh(f"cat {' '.join(files)} 2>/dev/null").stdout
        return {int(pid) for pid in said.split()}

    def is_alive(self, pids: set[int]) -> set[int]:
        """Those of them that run."""
        said = self.host.ssh(f"ps -o pid=,stat= -p {','.join(map(str, pids))}").stdout
        lines = [line.split() for line in said.splitlines()]
        return {int(pid) for pid, state in lines if not state.startswith("Z")}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing of the run's own program happens meanwhile: it neither replaces nor ends."""
        kill = f"systemctl kill --kill-who=main {self.service} --signal"
        self.host.ok(f"{kill}=STOP")
        try:
            yield
        finally:
            self.host.ok(f"{kill}=CONT")

    def points(self) -> list[dict[str, Any]]:
        """What came of the points, at the end of the run."""
        said = self.said()
        record = self.folder / "run.json"
        assert record.exists(), said
        points: list[dict[str, Any]] = json.loads(record.read_text())["points"]
        return points

    @property
    def folder(self) -> Path:
        """The host's results here."""
        return self._results / self.run / self.host.name

    @property
    def code(self) -> int | None:
        """Exit code of the command, once it has ended."""
        return self._process.poll()

    def said(self) -> str:
        """What was printed, at the end of the run."""
        if self._said is None:
            self._said = self._process.communicate(timeout=PATIENCE_S)[0]
        return self._said

    def resume(self) -> subprocess.CompletedProcess[str]:
        """Go on with the run that has ended."""
        return subprocess.run(
            [*self._command, f"--data=bench.run={self.run}"],
            check=False,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )

    def left(self) -> str:
        """What of it still runs on the host."""
        units = "systemctl list-units --plain --no-legend 'rocminfra-bench-*'"
        return self.host.ok(f"{units}; pgrep --full --list-full '[g]uidellm-0.8.1/bin' || true")

    def _leave(self) -> None:
        """End the command here; the run goes on without it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _runs(self) -> set[str]:
        return set(self.host.ok(f"mkdir -p {RUNS} && ls {RUNS}").split())


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until something happens on the host."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.3)
