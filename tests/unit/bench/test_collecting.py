"""Results brought back: only what is missing, kept when a connection breaks; a full disk here."""

from __future__ import annotations

import errno
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import recorded_runs
from bench_fakes import RUN, LocalHost
from failing import next_of

from rocminfra.bench import collecting, fetching, unpacking
from rocminfra.bench.collecting import Collector
from rocminfra.bench.fetching import shared_out
from rocminfra.bench.remote import CommandFailedError
from rocminfra.bench.remote_run import RemoteRun
from rocminfra.bench.results import staging, verify
from rocminfra.failure import FailedError, Fault
from rocminfra.host.bench import files
from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.planning.bench.progress import Status
from rocminfra.report.figures.report import make_report
from rocminfra.report.reading import folder as reading
from rocminfra.report.summary import Report

HOST = "mi300x-1"
FILES = {
    f"{point:02d}-concurrent-4/{name}": bytes([point]) * 5000
    for point in range(1, 9)
    for name in ("point.json", "report.json")
}


class Cut:
    """The host, whose streams break after so many bytes; notes what was asked for."""

    def __init__(self, remote: LocalHost, after: int | None = None) -> None:
        self.remote = remote
        self.after = after
        self.asked: list[str] = []

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Any:
        return self.remote.run(command, stdin, timeout_s)

    @contextmanager
    def stream(self, command: str, stdin: str, size: int) -> Iterator[Any]:
        self.asked += json.loads(stdin)
        with self.remote.stream(command, stdin, size) as whole:
            content = io.BytesIO(whole.read())
        left = [self.after]

        def read(size: int = -1) -> bytes:
            if left[0] is None:
                return content.read(size)
            if left[0] <= 0:
                raise ConnectionResetError("Connection reset by peer")
            part = content.read(min(size, left[0]) if size > 0 else left[0])
            left[0] -= len(part)
            return part

        yield SimpleNamespace(read=read)


@pytest.fixture
def remote(tmp_path: Path) -> LocalHost:
    return LocalHost(tmp_path)


@pytest.fixture
def host_run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / RUN
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    files.write_manifest(folder)
    return folder


@pytest.fixture(autouse=True)
def one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "STREAMS", 1)


def bring(tmp_path: Path, remote: Any, host_run: Path, **status: Any) -> collecting.Outcome:
    target = RemoteRun(RUN, HOST, remote, str(tmp_path / "runs"))
    ended = {
        "state": "finished",
        "revision": 1,
        "current": None,
        "planned": 0,
        "points": (),
        "repeats": (),
        "scenario": None,
        "manifest_sha256": files.sha256(host_run / MANIFEST),
        "busy_with": None,
        **status,
    }
    return Collector(target, tmp_path / "results", lambda line: None).bring_back(Status(**ended))


def test_everything_comes_back_and_nothing_is_left_on_the_host(
    tmp_path: Path, remote: LocalHost, host_run: Path
) -> None:
    before = sorted(path.name for path in host_run.parent.iterdir())
    outcome = bring(tmp_path, remote, host_run)
    assert outcome.problems == ()
    assert verify(tmp_path / "results" / RUN) == ()
    assert sorted(path.name for path in host_run.parent.iterdir()) == before
    assert [path.name for path in (tmp_path / "results").iterdir()] == [RUN]


def test_after_a_cut_only_the_rest_is_fetched(
    tmp_path: Path, remote: LocalHost, host_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In small steps, so that a cut falls between files.
    monkeypatch.setattr(unpacking, "_CHUNK", 512)
    monkeypatch.setattr(unpacking, "_TAR_BUFFER", 512)
    whole = io.BytesIO()
    files.pack(host_run, sorted(FILES), whole)
    cut = Cut(remote, after=len(whole.getvalue()) * 2 // 3)
    with pytest.raises(FailedError) as caught:
        bring(tmp_path, cut, host_run)
    assert caught.value.failure.fault is Fault.CONNECTION_LOST
    assert f"bench.run={RUN}" in next_of(caught.value)
    assert sorted(cut.asked) == sorted(FILES)
    assert not (tmp_path / "results" / RUN).exists()

    again = Cut(remote)
    assert bring(tmp_path, again, host_run).problems == ()
    assert 0 < len(again.asked) < len(FILES)
    assert verify(tmp_path / "results" / RUN) == ()
    assert [path.name for path in (tmp_path / "results").iterdir()] == [RUN]


def test_what_an_attempt_left_damaged_is_fetched_again(
    tmp_path: Path, remote: LocalHost, host_run: Path
) -> None:
    good, bad = sorted(FILES)[:2]
    with staging(tmp_path / "results", RUN, HOST) as folder:
        for name, content in ((good, FILES[good]), (bad, b"x"), ("99-extra/notes.txt", b"y")):
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    cut = Cut(remote)
    assert bring(tmp_path, cut, host_run).problems == ()
    assert set(cut.asked) == set(FILES) - {good}
    assert verify(tmp_path / "results" / RUN) == ()


def test_a_resumed_run_brings_only_what_is_new(
    tmp_path: Path, remote: LocalHost, host_run: Path
) -> None:
    bring(tmp_path, remote, host_run)
    (host_run / "09-throughput").mkdir()
    (host_run / "09-throughput" / "point.json").write_text("{}")
    files.write_manifest(host_run)
    cut = Cut(remote)
    assert bring(tmp_path, cut, host_run).problems == ()
    assert cut.asked == ["09-throughput/point.json"]
    assert verify(tmp_path / "results" / RUN) == ()


def test_a_full_disk_here_is_called_so(
    tmp_path: Path, remote: LocalHost, host_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(collecting.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(FailedError) as caught:
        bring(tmp_path, remote, host_run)
    assert caught.value.failure.fault is Fault.RESULTS_NOT_WRITABLE
    assert caught.value.failure.what.startswith("disk full here: the results of run")
    assert "has 1,000 free" in caught.value.failure.why[0]
    assert "make room, then" in next_of(caught.value)


def test_a_disk_that_fills_up_meanwhile_is_called_so_as_well(
    tmp_path: Path, remote: LocalHost, host_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "unpack", full)
    with pytest.raises(FailedError, match="disk full here"):
        bring(tmp_path, remote, host_run)
    monkeypatch.undo()
    assert bring(tmp_path, remote, host_run).problems == ()


def test_a_file_that_is_gone_on_the_host_makes_the_results_partial(
    tmp_path: Path, remote: LocalHost, host_run: Path
) -> None:
    shutil.rmtree(host_run / "08-concurrent-4")
    outcome = bring(tmp_path, remote, host_run)
    assert outcome.problems == (
        "08-concurrent-4/point.json: missing",
        "08-concurrent-4/report.json: missing",
    )


def test_a_host_that_cannot_pack_says_why(
    tmp_path: Path, remote: LocalHost, host_run: Path
) -> None:
    class Failing(Cut):
        def stream(self, command: str, stdin: str, size: int) -> Any:
            raise CommandFailedError("No space left on device")

    with pytest.raises(FailedError) as caught:
        bring(tmp_path, Failing(remote), host_run)
    assert caught.value.failure.fault is Fault.RESULTS_MISSING
    assert "on the host: No space left on device" in caught.value.failure.why


def test_two_commands_do_not_collect_one_run_at_once(
    tmp_path: Path, remote: LocalHost, host_run: Path
) -> None:
    with (
        staging(tmp_path / "results", RUN, HOST),
        pytest.raises(FailedError, match="another command here collects") as caught,
    ):
        bring(tmp_path, remote, host_run)
    assert caught.value.failure.fault is Fault.HOST_LOCKED


def test_streams_get_about_the_same() -> None:
    mib = 1024 * 1024
    sizes = {f"{number}": 2 * mib * number for number in range(1, 13)}
    shares = shared_out(sizes, 3)
    loads = [sum(sizes[name] for name in share) for share in shares]
    assert sorted(name for share in shares for name in share) == sorted(sizes)
    assert max(loads) - min(loads) <= 2 * mib
    assert shared_out({"a": 1, "b": 2 * mib}, 3) == [["a", "b"]], "not worth a second stream"
    assert len(shared_out(dict.fromkeys(map(str, range(1000)), 200_000), 3)) == 3


def recorded(tmp_path: Path) -> Path:
    """A run of the real GuideLLM, on the host."""
    run = recorded_runs.copy("demo", tmp_path / "recorded")
    folder = tmp_path / "runs" / RUN
    shutil.copytree(recorded_runs.host_of(run), folder, dirs_exist_ok=True)
    files.write_manifest(folder)
    return folder


def reported(outcome: collecting.Outcome) -> Report:
    """The report right after it; its own hashing would be a second one."""
    return make_report(outcome.folder.parent, verified={outcome.folder: outcome.verified})


def test_the_report_afterwards_takes_what_was_verified_on_its_way(
    tmp_path: Path, remote: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorded(tmp_path)
    names = set(files.result_files(folder))
    outcome = bring(tmp_path, remote, folder)
    assert set(outcome.verified) == names
    alone = make_report(outcome.folder.parent)
    monkeypatch.setattr(reading.hashlib, "sha256", lambda *_: pytest.fail("a file was hashed"))
    assert reported(outcome) == alone
    monkeypatch.undo()
    # Here already: hashed to find that out, and not a third time.
    again = bring(tmp_path, remote, folder)
    assert again.verified.keys() >= names
    monkeypatch.setattr(reading.hashlib, "sha256", lambda *_: pytest.fail("a file was hashed"))
    assert reported(again).is_valid


def test_the_report_after_a_flipped_byte_says_so(tmp_path: Path, remote: LocalHost) -> None:
    folder = recorded(tmp_path)
    name = "01-concurrent-4/report.json"
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    outcome = bring(tmp_path, remote, folder)
    assert name not in outcome.verified
    assert any(f"{name}: SHA-256 is" in line for line in outcome.problems)
    (host,) = reported(outcome).hosts
    assert any(f"incomplete: {name}: SHA-256 is" in line for line in host.warnings)
    point = host.point("01-concurrent-4")
    assert point is not None
    assert point.outcome == "invalid"
    assert "not the file that was collected: report.json: missing" in point.reasons
