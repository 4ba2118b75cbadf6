"""A playbook folder, and a process in which pyinfra runs its files."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


class Worker:
    """Asks the process of worker.py; raises what it raised."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def __call__(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        pickle.dump((name, arguments, keywords), self.process.stdin)
        self.process.stdin.flush()
        kind, value = pickle.load(self.process.stdout)
        if kind == "error":
            raise value
        return value

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    process = Worker()
    yield process
    process.close()


class Runner:
    """Runs playbook files of a folder, on this machine unless told otherwise."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        self.worker = worker
        self.folder = folder
        self.hosts: Mapping[str, Mapping[str, Any]] | None = None
        self.environ: dict[str, str] = {}
        self.lines: list[str] = []
        self.progress: list[str] = []
        self.shown: list[Any] = []

    def write(self, text: str, name: str = "deploy.py") -> None:
        """Write a file of the playbook."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def __call__(
        self,
        verb: str = "apply",
        files: Sequence[str] = (),
        answer: bool | None = None,
        **options: Any,
    ) -> Any:
        """Run a verb and return its RunResult."""
        options = {"inventory": "@local", "files": tuple(files), **options}
        result, lines, progress, shown = self.worker(
            "run_playbook",
            str(self.folder),
            self.environ,
            verb,
            options,
            self.hosts,
            answer,
        )
        self.lines += lines
        self.progress += progress
        self.shown += shown
        return result


@pytest.fixture
def runner(worker: Worker, tmp_path: Path) -> Runner:
    return Runner(worker, tmp_path)
