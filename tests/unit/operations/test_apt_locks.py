"""Each of apt's locks is waited for, by name, with a deadline, and by nothing that stays there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from failing import next_of

from rocminfra.facts.fresh_host import FreshHost
from rocminfra.failure import ExitCode, Failure
from rocminfra.host.sent import fresh_host as program
from rocminfra.operations import packages
from rocminfra.operations.fresh_host import Time
from rocminfra.planning.fresh_host import AptHolder, Observed

DAILY = "/usr/bin/python3 /usr/lib/apt/apt-helper"
IDLE = (True, ("ended", "no", "", ""), ())
DONE = (True, ("ended 0", "yes", "docker.io", ""), ())
STARTED = (True, (), ())


@dataclass
class Clock:
    seconds: float = 0
    naps: list[float] = field(default_factory=list)

    def time(self) -> Time:
        return Time(lambda: self.seconds, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds


def held(scripted: Any, clock: Clock, until: float, lock: str = program.LOCKS[2]) -> None:
    def answer(asked_at: float | None = None) -> Observed:
        del asked_at
        holder = AptHolder(711, DAILY, lock)
        return Observed(apt=(holder,) if clock.seconds < until else ())

    scripted.facts[FreshHost] = answer


def install(scripted: Any, clock: Clock) -> Failure | None:
    return packages.install(scripted, ("docker.io",), (), clock.time())


@pytest.mark.parametrize("lock", program.LOCKS)
def test_every_lock_is_waited_for_and_its_holder_named(scripted: Any, lock: str) -> None:
    clock = Clock()
    held(scripted, clock, 42, lock)
    scripted.answers = [IDLE, STARTED, DONE, (True, (), ())]
    assert install(scripted, clock) is None
    assert 42 <= clock.seconds < 60
    said = [line for line in scripted.logged if "waiting" in line]
    assert said[0] == f"waiting: {DAILY} (pid 711) holds {lock} (0 s of 600 s)"
    assert max(clock.naps) <= 10, "silent for longer than ten seconds"


def test_a_lock_that_is_never_let_go_ends_the_wait(scripted: Any) -> None:
    clock = Clock()
    held(scripted, clock, 1e9)
    scripted.answers = [IDLE]
    failure = install(scripted, clock)
    assert failure is not None
    assert failure.kind == ExitCode.NOT_READY
    assert "apt is in use by another program, for 600 s now; nothing was installed" in failure.what
    assert failure.why == (f"{DAILY} (pid 711) holds /var/lib/apt/lists/lock",)
    assert "ps -fp 711" in next_of(failure)
    assert len(scripted.ran) == 1, "something was started all the same"


def test_a_lock_that_is_taken_after_the_look_is_waited_for_as_well(scripted: Any) -> None:
    clock = Clock()
    looks = iter([(), (AptHolder(711, DAILY, program.LOCKS[2]),), (), ()])
    scripted.facts[FreshHost] = lambda asked_at: Observed(apt=next(looks))
    failed = (True, ("ended 100", "yes", "docker.io", "", "E: Could not get lock"), ())
    scripted.answers = [IDLE, STARTED, failed, IDLE, STARTED, DONE, (True, (), ())]
    assert install(scripted, clock) is None


def test_apt_that_fails_with_nobody_at_work_is_a_failure_with_its_words(scripted: Any) -> None:
    failed = (True, ("ended 100", "yes", "docker.io", "", "E: Unable to locate docker.io"), ())
    scripted.answers = [IDLE, STARTED, failed, (False, (), ())]
    scripted.facts[FreshHost] = Observed()
    failure = install(scripted, Clock())
    assert failure is not None
    assert failure.kind == ExitCode.UNFIT
    assert (failure.what, failure.why[-1]) == (
        "apt could not install docker.io",
        "E: Unable to locate docker.io",
    )


def test_a_disk_that_is_full_is_named_and_not_the_package_sources(scripted: Any) -> None:
    said = "E: Write error - write (28: No space left on device)"
    failed = (
        True,
        ("ended 100", "yes", "docker.io", "", "W: GPG error: http://a.example", said),
        (),
    )
    scripted.answers = [IDLE, STARTED, failed, (False, (), ())]
    scripted.facts[FreshHost] = Observed()
    failure = install(scripted, Clock())
    assert failure is not None
    assert failure.kind == ExitCode.UNFIT
    assert failure.what == "disk full on the host: apt could not install docker.io"
    assert failure.why[-1] == said
    assert "df -h / /var /var/tmp" in next_of(failure)


def test_dead_sources_are_named_after_an_installation_without_them(scripted: Any) -> None:
    done = (True, ("ended 0", "yes", "docker.io", "Err:1 http://repo.invalid jammy"), ())
    scripted.answers = [IDLE, STARTED, done, (True, (), ())]
    scripted.facts[FreshHost] = Observed()
    assert install(scripted, Clock()) is None
    assert scripted.logged == [
        "package sources that did not answer: Err:1 http://repo.invalid jammy"
    ]


BROKEN = ("Errors were encountered while processing:", " amdgpu-dkms", "E: Sub-process dpkg failed")


@pytest.mark.parametrize(
    ("packages_now", "is_there"),
    [
        (("installed",), True),
        (("half-configured",), False),
        (("installed", "unpacked"), False),
        ((), False),
    ],
)
def test_another_package_that_fails_does_not_stop_one_that_is_installed(
    scripted: Any, packages_now: tuple[str, ...], is_there: bool
) -> None:
    failed = (True, ("ended 100", "yes", "docker.io", "", *BROKEN), ())
    scripted.answers = [IDLE, STARTED, failed, (True, packages_now, ()), (True, (), ())]
    scripted.facts[FreshHost] = Observed()
    assert (install(scripted, Clock()) is None) == is_there
    assert any("amdgpu-dkms E: Sub-process" in line for line in scripted.logged) == is_there


def test_a_package_in_a_version_of_its_own_may_be_there_in_another(scripted: Any) -> None:
    failed = (True, ("ended 100", "yes", "docker.io", "", "E: Version '27' was not found"), ())
    scripted.answers = [IDLE, STARTED, failed]
    scripted.facts[FreshHost] = Observed()
    failure = packages.install(scripted, ("docker.io=27",), (), Clock().time())
    assert failure is not None
    assert "apt could not install docker.io=27" in failure.what


def test_an_installation_of_a_run_that_was_cut_off_is_waited_for(scripted: Any) -> None:
    running = (True, ("running", "yes", "xfsprogs", ""), ())
    scripted.answers = [running] * 8 + [DONE, STARTED, DONE, (True, (), ())]
    scripted.facts[FreshHost] = Observed()
    assert install(scripted, Clock()) is None
    assert scripted.logged[0].startswith("waiting: an installation of ours is under way")


def test_one_that_does_not_end_is_neither_doubled_nor_cut_off(scripted: Any) -> None:
    scripted.answers = [(True, ("running", "yes", "xfsprogs", ""), ())] * 2_000
    failure = install(scripted, Clock())
    assert failure is not None
    assert failure.kind == ExitCode.NOT_READY
    assert "is still at it" in failure.what
    assert not any("systemd-run" in command for command in scripted.ran)


@pytest.mark.parametrize("lock", range(4))
def test_the_holder_of_a_real_lock_is_seen(
    lock: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cases/apt/hold_lock.py holds it: with lockf, as apt does."""
    paths = [tmp_path / f"lock{number}" for number in range(4)]
    for path in paths:
        path.touch()
    monkeypatch.setattr(program, "LOCKS", tuple(map(str, paths)))
    holds = "import fcntl, sys; h = open(sys.argv[1], 'w'); fcntl.lockf(h, fcntl.LOCK_EX); "
    holds += "print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holds, str(paths[lock])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (found,) = program.apt_holders()
        holder.stdin.close() if holder.stdin else None
    assert (found["pid"], found["lock"]) == (holder.pid, str(paths[lock]))
    assert "lockf" in found["command"]
    assert program.apt_holders() == []
