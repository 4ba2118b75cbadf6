"""A run from its start to its verified results, with a host that fails in every way it can.

The programs are the real ones, run as they are on a host; GuideLLM, engine and systemd are fakes.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from bench_fakes import (
    RUN,
    FakeEngine,
    LocalHost,
    calls,
    job,
    kill_group,
    profiles,
    scenario,
    set_modes,
)
from failing import next_of

from rocminfra.bench.job import Job
from rocminfra.bench.remote import Answer
from rocminfra.bench.results import verify
from rocminfra.bench.session import Outcome
from rocminfra.failure import ExitCode, FailedError
from rocminfra.planning.bench.blocks import HEADER
from rocminfra.report.table import read_table

STAGES = [{"profile": "concurrent", "streams": [4]}, {"profile": "sweep", "size": 3}]


def test_a_run_comes_back_whole(
    carry: Callable[..., Outcome], tmp_path: Path, said: list[str]
) -> None:
    outcome = carry()
    assert outcome.problems == ()
    assert outcome.folder == tmp_path / "results" / RUN / "mi300x-1"
    assert verify(tmp_path / "results" / RUN) == ()
    assert [row.point for row in read_table(outcome.folder.parent).rows] == [
        *("concurrent@4", "synchronous", "throughput", "constant@2.00"),
    ]
    assert said[0].startswith(f"run {RUN}: quick, 4 points, detached as rocminfra-bench-{RUN}")
    assert said[-1].startswith("4/4 constant@2.00: valid")


def test_bad_points_come_back_as_problems(
    carry: Callable[..., Outcome], tmp_path: Path, program: Path
) -> None:
    set_modes(program, concurrent="errors", throughput="silent")
    outcome = carry()
    assert "concurrent@4 is invalid: 528 of 548" in outcome.problems[0]
    assert "throughput is failed: GuideLLM exited with 0 and wrote no report" in outcome.problems
    assert outcome.problems[-1] == "1 of 4 points never ran"
    assert verify(tmp_path / "results" / RUN) == (), "bad points are results too"


def test_a_repeat_is_told_once_when_it_begins(
    carry: Callable[..., Outcome], remote: LocalHost, said: list[str]
) -> None:
    class Repeating:
        """The host, whose first point was tried twice."""

        stream = staticmethod(remote.stream)

        def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
            answer = remote.run(command, stdin, timeout_s)
            if " status " not in command:
                return answer
            status = json.loads(answer.stdout)
            why = "GuideLLM hung after its load"
            repeat = {"name": "01-concurrent-4", "label": "concurrent@4", "attempt": 2, "why": why}
            status["repeats"] = [repeat]
            for point in status["points"][:1]:
                point["attempts"] = 2
            return Answer(True, json.dumps(status), answer.stderr)

    carry(remote=Repeating())
    (told,) = (line for line in said if "hung after its load" in line)
    assert told.startswith("concurrent@4: GuideLLM hung after its load; attempt 2 begins")
    (point,) = (line for line in said if line.startswith("1/4 concurrent@4: valid"))
    assert point.endswith(" s, 2 attempts)")


def test_resuming_keeps_what_is_valid(
    carry: Callable[..., Outcome], tmp_path: Path, program: Path, said: list[str]
) -> None:
    set_modes(program, concurrent="errors")
    carry()
    set_modes(program)
    before = len(calls(program))
    outcome = carry(resumes=True)
    assert profiles(program)[before:] == ["concurrent"]
    assert outcome.problems == ()
    assert any("keeps 3 valid points" in line for line in said)
    assert verify(tmp_path / "results" / RUN) == ()


def test_a_run_that_is_here_already_is_neither_run_nor_fetched_again(
    carry: Callable[..., Outcome], remote: LocalHost, program: Path
) -> None:
    carry()
    before = len(calls(program)), len(remote.commands)
    assert carry(resumes=True).problems == ()
    assert len(calls(program)) == before[0]
    assert len(remote.commands) - before[1] <= 2
    assert not any("pack" in command for command in remote.commands[before[1] :])


def test_results_that_were_lost_here_are_fetched_again(
    carry: Callable[..., Outcome], tmp_path: Path, program: Path
) -> None:
    shutil.rmtree(carry().folder)
    before = len(calls(program))
    carry(resumes=True)
    assert len(calls(program)) == before
    assert verify(tmp_path / "results" / RUN) == ()


class Flaky:
    """A host whose connection breaks at a command, or whose files arrive damaged."""

    def __init__(self, remote: LocalHost) -> None:
        self.remote = remote
        self.breaks_at: str | None = None
        self.damage: list[Callable[[bytes], bytes]] = []

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        if self.breaks_at is not None and self.breaks_at in command:
            raise ConnectionResetError("Connection reset by peer")
        return self.remote.run(command, stdin, timeout_s)

    @contextmanager
    def stream(self, command: str, stdin: str, size: int) -> Iterator[IO[bytes]]:
        with self.remote.stream(command, stdin, size) as whole:
            content = whole.read()
        yield io.BytesIO(self.damage.pop(0)(content) if self.damage else content)


def half(content: bytes) -> bytes:
    """Cut off within a file's data: between two files, tar takes a cut for the end."""
    # One block, stored.
    with tarfile.open(fileobj=io.BytesIO(content[HEADER.size :])) as pack:
        last = max(pack.getmembers()[1:], key=lambda member: member.size)
    return content[: HEADER.size + last.offset_data + last.size // 2]


def nothing(content: bytes) -> bytes:
    return b""


def test_a_lost_connection_loses_nothing(
    carry: Callable[..., Outcome],
    remote: LocalHost,
    tmp_path: Path,
    program: Path,
    said: list[str],
) -> None:
    flaky = Flaky(remote)
    flaky.breaks_at = "--wait 5"
    with pytest.raises(FailedError) as caught:
        carry(remote=flaky)
    assert caught.value.failure.kind is ExitCode.UNREACHABLE
    assert "Connection reset by peer" in caught.value.failure.why[0]
    assert not (tmp_path / "results" / RUN).exists()
    _until(lambda: bool(calls(program)))

    outcome = carry(resumes=True)
    assert outcome.problems == ()
    assert len(calls(program)) == 4, "no point ran twice"
    assert verify(tmp_path / "results" / RUN) == ()
    assert sum("detached as" in line for line in said) == 1


def test_a_command_that_ends_without_a_word_is_a_lost_connection(
    carry: Callable[..., Outcome], remote: LocalHost
) -> None:
    class Mute(Flaky):
        def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
            if "--wait 5" in command:
                return Answer(False, "", "")
            return self.remote.run(command, stdin, timeout_s)

    with pytest.raises(FailedError, match="connection was lost"):
        carry(remote=Mute(remote))


def test_an_archive_that_was_cut_off_is_fetched_again(
    carry: Callable[..., Outcome], remote: LocalHost, tmp_path: Path, said: list[str]
) -> None:
    flaky = Flaky(remote)
    flaky.damage = [half]
    assert carry(remote=flaky).problems == ()
    assert any("did not arrive whole, again" in line for line in said)
    assert verify(tmp_path / "results" / RUN) == ()


def test_what_arrives_in_part_twice_is_marked_partial(
    carry: Callable[..., Outcome], remote: LocalHost, tmp_path: Path
) -> None:
    flaky = Flaky(remote)
    flaky.damage = [half, half]
    outcome = carry(remote=flaky)
    assert (outcome.folder / "PARTIAL").read_text().count("missing") >= 1
    assert any("truncated" in problem for problem in outcome.problems)
    assert any("is incomplete" in problem for problem in verify(tmp_path / "results" / RUN))

    assert carry(resumes=True).problems == ()
    assert verify(tmp_path / "results" / RUN) == ()


def test_nothing_empty_counts_as_a_result(
    carry: Callable[..., Outcome], remote: LocalHost, tmp_path: Path
) -> None:
    flaky = Flaky(remote)
    flaky.damage = [nothing, nothing]
    with pytest.raises(FailedError, match="no result"):
        carry(remote=flaky)
    assert list((tmp_path / "results").iterdir()) == []


def test_another_benchmark_on_the_host_is_named(
    carry: Callable[..., Outcome], made: Job, remote: LocalHost, program: Path
) -> None:
    set_modes(program, concurrent="slow")
    flaky = Flaky(remote)
    flaky.breaks_at = "--wait 5"
    with pytest.raises(FailedError, match="connection was lost"):
        carry(remote=flaky)
    _until(lambda: len(calls(program)) == 1)
    record = replace(made.record, run="20260513T111111Z")
    with pytest.raises(FailedError) as caught:
        carry(job=replace(made, run="20260513T111111Z", record=record))
    assert caught.value.failure.kind is ExitCode.LOCKED
    assert RUN in caught.value.failure.what
    assert f"bench.run={RUN}" in next_of(caught.value)


def test_a_run_that_was_killed_on_the_host_comes_back_marked_partial(
    carry: Callable[..., Outcome], made: Job, remote: LocalHost, tmp_path: Path, program: Path
) -> None:
    set_modes(program, synchronous="slow")

    class Killer(Flaky):
        def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
            if "--wait 5" in command:
                _until(lambda: len(calls(program)) == 2)
                kill_group(json.loads((Path(made.folder) / "status.json").read_text())["pid"])
            return self.remote.run(command, stdin, timeout_s)

    outcome = carry(remote=Killer(remote))
    assert "the run died before its end" in outcome.problems
    assert (outcome.folder / "01-concurrent-4" / "point.json").exists()
    assert verify(tmp_path / "results" / RUN) == (
        "mi300x-1 is incomplete: the run died before its end",
    )
    set_modes(program)
    assert carry(resumes=True).problems == ()
    assert verify(tmp_path / "results" / RUN) == ()


def test_another_scenario_needs_a_new_run(
    carry: Callable[..., Outcome], made: Job, program: Path, engine: FakeEngine
) -> None:
    carry()
    longer = scenario(STAGES, max_seconds=2.0)
    changed = job(Path(made.runs_folder), program, engine, longer)
    with pytest.raises(FailedError, match="another scenario"):
        carry(job=changed, resumes=True)


def test_a_run_that_never_was_cannot_be_resumed(carry: Callable[..., Outcome]) -> None:
    with pytest.raises(FailedError, match=r"no run .* to resume"):
        carry(resumes=True)


def test_a_complete_result_is_not_run_anew_on_a_host_that_forgot_it(
    carry: Callable[..., Outcome], made: Job, tmp_path: Path, program: Path
) -> None:
    folder = carry().folder
    before = sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    ran = len(calls(program))
    shutil.rmtree(made.folder)
    with pytest.raises(FailedError, match="complete results") as caught:
        carry(resumes=True)
    assert caught.value.failure.kind is ExitCode.BENCHMARK
    assert str(folder) in caught.value.failure.what
    assert "without bench.run" in next_of(caught.value)
    assert len(calls(program)) == ran
    assert sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file()) == before


def test_a_partial_result_is_run_anew_on_a_host_that_forgot_it(
    carry: Callable[..., Outcome], made: Job, remote: LocalHost, tmp_path: Path
) -> None:
    flaky = Flaky(remote)
    flaky.damage = [half, half]
    carry(remote=flaky)
    shutil.rmtree(made.folder)
    assert carry(resumes=True).problems == ()
    assert verify(tmp_path / "results" / RUN) == ()


def test_what_comes_back_in_part_leaves_complete_results_alone(
    carry: Callable[..., Outcome], remote: LocalHost, tmp_path: Path, program: Path
) -> None:
    set_modes(program, concurrent="errors")
    carry()
    set_modes(program)
    flaky = Flaky(remote)
    flaky.damage = [half, half]
    with pytest.raises(FailedError, match="came back in part") as caught:
        carry(remote=flaky, resumes=True)
    assert caught.value.failure.kind is ExitCode.BENCHMARK
    assert ".earlier" in caught.value.failure.why[-1]
    assert verify(tmp_path / "results" / RUN) == ()
    assert carry(resumes=True).problems == ()


def test_a_unit_that_does_not_start_says_why(
    carry: Callable[..., Outcome], remote: LocalHost
) -> None:
    tool = remote.programs.parent / "tools" / "systemd-run"
    tool.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2; exit 1\n")
    links: list[str] = []
    with pytest.raises(FailedError) as caught:
        carry(
            open_link=lambda: links.append("opened"),
            close_link=lambda: links.append("closed"),
        )
    assert caught.value.failure.why == ("Failed to connect to bus",)
    assert links == ["opened", "closed"]


def test_programs_that_are_missing_say_so(carry: Callable[..., Outcome], remote: LocalHost) -> None:
    shutil.rmtree(remote.programs)
    with pytest.raises(FailedError, match="does not answer") as caught:
        carry()
    assert "No module named" in caught.value.failure.why[-1]


def test_of_two_runs_that_begin_at_once_the_second_is_told_of_the_first(
    carry: Callable[..., Outcome], remote: LocalHost, tmp_path: Path
) -> None:
    (remote.programs.parent / "tools" / "systemd-run").write_text("#!/bin/sh\n")
    other = "20260513T101500Z-000000"

    class Raced(Flaky):
        """Whose lock is taken by another run between our look and our start."""

        def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
            answer = self.remote.run(command.replace("--wait 5", "--wait 0"), stdin, timeout_s)
            if "--wait 5" not in command:
                return answer
            status = {**json.loads(answer.stdout), "busy_with": other}
            return Answer(True, json.dumps(status), answer.stderr)

    with pytest.raises(FailedError) as caught:
        carry(remote=Raced(remote))
    assert caught.value.failure.kind is ExitCode.LOCKED
    assert other in caught.value.failure.what
    assert f"bench.run={other}" in next_of(caught.value)


def test_a_program_that_dies_at_once_is_not_waited_for_for_ever(
    carry: Callable[..., Outcome], remote: LocalHost
) -> None:
    tool = remote.programs.parent / "tools" / "systemd-run"
    tool.write_text("#!/bin/sh\n")

    class Impatient(Flaky):
        def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
            return self.remote.run(command.replace("--wait 5", "--wait 0"), stdin, timeout_s)

    times = iter(range(0, 1000, 10))
    with pytest.raises(FailedError, match="no sign of life"):
        carry(remote=Impatient(remote), clock=lambda: float(next(times)))


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
