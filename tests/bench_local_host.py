"""A benchmark's host that is this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rocminfra.bench.remote import Answer
from rocminfra.host.programs import benchmark
from rocminfra.host_paths import BENCH_PROGRAMS


class LocalHost:
    """A host that is this machine: a session's commands run here, in folders of the test.

    ``systemd-run`` is a shell script that starts a detached process, or, for a scope, becomes it.
    """

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self.commands: list[str] = []
        for path, text in benchmark().items():
            target = self.programs / Path(path).relative_to(BENCH_PROGRAMS)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "systemd-run").write_text(
            "#!/bin/sh\n"
            "scope=\n"
            'while [ "${1#--}" != "$1" ]; do\n'
            '  case "$1" in --setenv=*) export "${1#--setenv=}";; --scope) scope=1;; esac\n'
            "  shift\n"
            "done\n"
            '[ -z "$scope" ] || exec "$@"\n'
            f'cd / && setsid "$@" >"{folder}/runner.log" 2>&1 </dev/null &\n'
        )
        (tools / "systemctl").write_text('#!/bin/sh\n[ "$1" != is-active ]\n')
        # A host has no packages of ours.
        bare = f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -S "$@"\n'
        (tools / "python3").write_text(bare)
        for tool in tools.iterdir():
            tool.chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        self.commands.append(command)
        done = subprocess.run(
            ["sh", "-c", command.replace(BENCH_PROGRAMS, str(self.programs))],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self._environment,
            # Not the checkout: its programs would be found instead of those that were copied.
            cwd="/",
            check=False,
        )
        return Answer(done.returncode == 0, done.stdout, done.stderr)

    @contextmanager
    def stream(self, command: str, stdin: str, size: int) -> Iterator[IO[bytes]]:
        self.commands.append(command)
        with tempfile.TemporaryFile() as words:
            words.write(stdin.encode())
            words.seek(0)
            process = subprocess.Popen(
                ["sh", "-c", command.replace(BENCH_PROGRAMS, str(self.programs))],
                stdin=words,
                stdout=subprocess.PIPE,
                env=self._environment,
                cwd="/",
            )
        assert process.stdout is not None
        with process:
            yield process.stdout

    def fetch(self, path: str, target: Path) -> None:
        """As a connector's own transfer does."""
        shutil.copyfile(path, target)
