"""Downloads seen from here: waited for when they are the same, ended when something else is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from failing import next_of

from rocminfra.failure import ExitCode
from rocminfra.operations import fetching
from rocminfra.operations.fresh_host import Time
from rocminfra.operations.host_job import Ended, Job
from rocminfra.operations.progress import listen

JOB = Job("rocminfra-prefetch", "true", "download of acme/a", "acme/a@main /home")
DONE = (True, ("ended 0", "yes", JOB.target, ""), ())
IDLE = (True, ("ended", "no", "", ""), ())
OK = (True, (), ())


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self) -> Time:
        return Time(lambda: self.seconds, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds


def running(target: str = JOB.target, **status: Any) -> tuple[bool, tuple[str, ...], tuple[()]]:
    return True, ("running", "yes", target, json.dumps(status) if status else ""), ()


def test_the_same_download_of_an_earlier_run_is_waited_for(scripted: Any) -> None:
    scripted.answers = [running(), running(), DONE, OK]
    assert fetching.fetch(scripted, JOB, clock=Clock().time()) is None
    assert scripted.logged[0] == "under way since an earlier run: download of acme/a"
    assert not any("systemd-run" in command for command in scripted.ran)


@pytest.mark.parametrize(
    "other",
    ["acme/b@main /home", "acme/a@v2 /home", "acme/a@main /elsewhere", JOB.target + " https://m"],
)
def test_one_that_was_given_up_ends_when_another_is_asked_for(scripted: Any, other: str) -> None:
    scripted.answers = [running(other), OK, OK, DONE, OK]
    assert fetching.fetch(scripted, JOB, clock=Clock().time()) is None
    assert scripted.logged[0] == f"ended: the download of {other}, which is no longer wanted"
    assert scripted.ran[1].startswith("systemctl stop rocminfra-prefetch")
    assert "systemd-run" in scripted.ran[2]


def test_one_of_an_earlier_version_that_does_not_say_for_what_is_ended(scripted: Any) -> None:
    unnamed = (True, ("running", "no", "", ""), ())
    scripted.answers = [unnamed, OK, OK, DONE, OK]
    assert fetching.fetch(scripted, JOB, clock=Clock().time()) is None
    assert "ended: the download of something else" in scripted.logged[0]


def test_bytes_rate_and_time_left_are_said_every_ten_seconds(scripted: Any) -> None:
    gb = 10**9
    looks = [running(done=n * gb, total=100 * gb) for n in range(30)]
    scripted.answers = [IDLE, OK, *looks, DONE, OK]
    clock = Clock()
    times: list[float] = [0.0]
    log = scripted.log

    def heard(text: str, *_: Any, **__: Any) -> None:
        times.append(clock.seconds)
        log(text)

    scripted.log = heard
    assert fetching.fetch(scripted, JOB, clock=clock.time()) is None
    assert max(b - a for a, b in itertools.pairwise(times)) <= 10
    assert scripted.logged[-1].startswith("download of acme/a: 2")
    assert " of 100.0 GB, 500.0 MB/s, 2 min " in scripted.logged[-1]


def test_a_stall_is_said_while_it_lasts(scripted: Any) -> None:
    note = "nothing has arrived for 40 s"
    scripted.answers = [IDLE, OK, *[running(done=5, total=9, note=note)] * 8, DONE, OK]
    assert fetching.fetch(scripted, JOB, clock=Clock().time()) is None
    assert scripted.logged[0] == f"download of acme/a: 5 bytes of 9 bytes; {note}"


def test_whoever_listens_is_told_the_bytes(scripted: Any) -> None:
    told: list[tuple[int, int]] = []

    class Listener:
        def update(self, **parts: Any) -> None:
            told.append((parts["done_bytes"], parts["total_bytes"]))

    listen(scripted, Listener())
    scripted.answers = [IDLE, OK, *[running(done=5, total=9)] * 3, DONE, OK]
    assert fetching.fetch(scripted, JOB, clock=Clock().time()) is None
    assert told == [(5, 9)] * 3


def test_a_download_that_its_host_took_along_is_begun_once_more(scripted: Any) -> None:
    lost = (True, ("ended", "yes", JOB.target, ""), ())
    scripted.answers = [IDLE, OK, lost, lost, OK, DONE, OK]
    assert fetching.fetch(scripted, JOB, clock=Clock().time()) is None
    scripted.answers = [IDLE, OK, lost, lost, OK, lost]
    failure = fetching.fetch(scripted, JOB, clock=Clock().time())
    assert failure is not None
    assert "ended without an exit code" in failure.why[-1]


def test_a_lost_connection_says_that_it_goes_on(scripted: Any) -> None:
    scripted.answers = [IDLE, OK, *[(False, (), ())] * 3]
    failure = fetching.fetch(scripted, JOB, clock=Clock().time())
    assert failure is not None
    assert failure.kind == ExitCode.UNREACHABLE
    assert failure.what == "the connection was lost; it goes on there: download of acme/a"


@pytest.mark.parametrize(
    ("kind", "code", "following"),
    [
        ("space", ExitCode.UNFIT, "make room on the host"),
        ("denied", ExitCode.SETTINGS, "HF_TOKEN"),
        ("absent", ExitCode.SETTINGS, "the name and the revision"),
        ("unreachable", ExitCode.UNFIT, "huggingface.endpoint"),
        ("stalled", ExitCode.UNFIT, "the same command again"),
    ],
)
def test_what_the_host_says_is_the_failure(kind: str, code: ExitCode, following: str) -> None:
    status = json.dumps({"done": 1, "error": "what is wrong", "kind": kind})
    failure = fetching.failure(JOB, Ended(1, status, ("what is wrong", "noise")))
    assert (failure.kind, failure.what) == (code, "what is wrong")
    assert following in next_of(failure)
    assert failure.why == (("noise",) if kind == "stalled" else ())


def test_a_job_that_did_not_get_so_far_shows_its_log() -> None:
    failure = fetching.failure(JOB, Ended(3, "", ("ERROR: no matching distribution",)))
    assert failure.what == "failed: download of acme/a"
    assert failure.why == ("ERROR: no matching distribution",)
