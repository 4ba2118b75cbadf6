"""Jobs on the host: what starts them, what they are given, and how they are watched."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocminfra.operations import host_job
from rocminfra.operations.fresh_host import Time
from rocminfra.operations.host_job import Ended, Job, Running, Shown

# Stands in for systemd: the job runs without anything of the caller's environment.
SYSTEMD_RUN = r"""#!/bin/sh
while [ "${1#--}" != "$1" ]; do echo "$1" >> "$HERE/arguments"; shift; done
echo "$@" >> "$HERE/arguments"
script=$(printf '%s' "$3" | sed 's/\$\$/$/g')
setsid env -i PATH=/usr/bin:/bin sh -c "$script" </dev/null >/dev/null 2>&1 &
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Starts a job as a shell of the host would; its files' beginning."""
    monkeypatch.setattr(host_job, "JOBS", str(tmp_path / "jobs"))
    (tmp_path / "systemd-run").write_text(SYSTEMD_RUN)
    (tmp_path / "systemd-run").chmod(0o755)

    def start(job: Job, line: str = "", **environment: str) -> Path:
        subprocess.run(
            ["sh", "-c", host_job.start_script(job)],
            input=f"{line}\n",
            text=True,
            check=True,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HERE": str(tmp_path)}
            | environment,
        )
        base = tmp_path / "jobs" / job.unit
        deadline = time.monotonic() + 20
        while not base.with_suffix(".code").exists():
            assert time.monotonic() < deadline, base.with_suffix(".log").read_text()
            time.sleep(0.01)
        return base

    return start


def test_what_it_says_and_how_it_ends_is_kept_for_who_asks(started: Callable[..., Path]) -> None:
    base = started(Job("unit", "echo one; echo two >&2; echo half >$JOB.status; exit 7", "it"))
    assert base.with_suffix(".code").read_text() == "7\n"
    assert base.with_suffix(".log").read_text() == "one\ntwo\n"
    assert base.with_suffix(".status").read_text() == "half\n"


def test_the_secret_is_in_no_argument_and_no_file(
    started: Callable[..., Path], tmp_path: Path
) -> None:
    job = Job("unit", 'echo "${#HF_TOKEN}"; unset HF_TOKEN', "it", "acme/model a")
    base = started(job, "export HF_TOKEN=hf_secret")
    assert base.with_suffix(".log").read_text() == "9\n"
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or "hf_secret" not in path.read_text(), path
    assert not base.with_suffix(".pipe").exists()
    assert (base.parent.stat().st_mode & 0o777) == 0o700


def test_the_files_of_one_that_runs_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_job, "JOBS", str(tmp_path))
    (tmp_path / "unit.status").write_text("3 of 9\n")
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "systemctl").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", host_job.start_script(Job("unit", "true", "it"))],
        input="\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "unit runs already\n")
    assert (tmp_path / "unit.status").read_text() == "3 of 9\n"


def test_proxies_of_the_login_are_handed_on(started: Callable[..., Path]) -> None:
    base = started(
        Job("unit", 'echo "$https_proxy $NO_PROXY"', "it"),
        https_proxy="http://user:pa ss@203.0.113.5:3128",
        NO_PROXY="localhost",
    )
    assert base.with_suffix(".log").read_text() == "http://user:pa ss@203.0.113.5:3128 localhost\n"


def test_a_shell_that_names_variables_stays_as_it_is(started: Callable[..., Path]) -> None:
    base = started(Job("unit", "set -- a b; for x; do echo \"$x ${x}c $#\"; done; echo '%n'", "it"))
    assert base.with_suffix(".log").read_text() == "a ac 2\nb bc 2\n%n\n"


def test_programs_of_the_job_find_its_files_too(started: Callable[..., Path]) -> None:
    base = started(Job("unit", "sh -c 'echo from a program >$JOB.status'", "it"))
    assert base.with_suffix(".status").read_text() == "from a program\n"


def test_looks_tell_running_from_ended_and_from_no_answer(scripted: Any) -> None:
    scripted.answers = [
        (True, ("running", "yes", "acme/model", "3 of 9"), ()),
        (True, ("running", "no", "", ""), ()),
        (True, ("ended 3", "yes", "x", "3 of 9", "last", "words"), ()),
        (True, ("ended", "no", "", ""), ()),
        (False, (), ("gone",)),
    ]
    looks = [host_job.look(scripted, "unit") for _ in range(5)]
    assert looks == [
        Running("acme/model", "3 of 9"),
        Running(None, ""),
        Ended(3, "3 of 9", ("last", "words")),
        Ended(None),
        None,
    ]


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self) -> Time:
        return Time(lambda: self.seconds, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_wait_speaks_at_least_every_ten_seconds(scripted: Any) -> None:
    clock = Clock()
    scripted.answers = [(True, ("running", "yes", "x", "a"), ())] * 30
    scripted.answers += [(True, ("ended 0", "yes", "x", ""), ())]

    def words(status: str, seconds: float) -> Shown:
        return Shown(f"{status} {seconds:.0f}")

    ended = host_job.watch(scripted, Job("u", "", "it"), 600, words, clock.time())
    assert isinstance(ended, Ended)
    said = [0.0, *(float(line.split()[1]) for line in scripted.logged)]
    assert max(b - a for a, b in itertools.pairwise(said)) <= 10
    assert len(said) >= 6


def test_a_wait_ends_with_the_connection_and_with_its_deadline(scripted: Any) -> None:
    scripted.answers = [(False, (), ())] * 3
    assert host_job.watch(scripted, Job("u", "", "it"), 600, clock=Clock().time()) is None
    scripted.answers = [(True, ("running", "yes", "x", ""), ())] * 9
    waited = host_job.watch(scripted, Job("u", "", "it"), 10, clock=Clock().time())
    assert waited == Running("x", "")
