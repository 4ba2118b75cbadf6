"""One run at a time on a host, and a run that is gone blocks nobody."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.programs import source
from rocminfra.host.sent import run_lock


def record(token: str) -> dict[str, Any]:
    return {"token": token, "owner": "alice@laptop"}


def taken(path: Path, token: str, running: bool = True) -> dict[str, Any]:
    return run_lock.take(path, record(token), lambda _holder: running)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rocminfra" / "lock"


def test_a_free_lock_is_taken_and_the_folder_made(path: Path) -> None:
    assert taken(path, "a") == {"taken": True, "holder": None}
    assert json.loads(path.read_text())["token"] == "a"


@pytest.mark.parametrize("mode", [None, 0o644])
def test_only_its_owner_may_read_it(path: Path, mode: int | None) -> None:
    if mode is not None:  # as earlier versions left it
        path.parent.mkdir()
        path.touch()
        path.chmod(mode)
    taken(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_held_names_its_holder_and_stays(path: Path) -> None:
    taken(path, "a")
    assert taken(path, "b") == {"taken": False, "holder": record("a")}
    assert json.loads(path.read_text())["token"] == "a"


def test_the_same_run_may_take_it_again(path: Path) -> None:
    taken(path, "a")
    assert taken(path, "a")["taken"]


def test_a_holder_that_is_gone_is_replaced(path: Path) -> None:
    taken(path, "a")
    assert taken(path, "b", running=False) == {"taken": True, "holder": record("a")}


@pytest.mark.parametrize("rest", ["", "{", '{"token": ', "[1]", "null", "\x00\x00"])
def test_a_record_that_was_cut_off_is_a_free_lock(rest: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(rest)
    assert taken(path, "a") == {"taken": True, "holder": None}


def test_giving_it_back_keeps_the_file_and_leaves_others_alone(path: Path) -> None:
    assert run_lock.free(path, "a") == {"freed": False}
    assert not path.exists()
    taken(path, "a")
    assert run_lock.free(path, "b") == {"freed": False}
    assert run_lock.free(path, "a") == {"freed": True}
    assert path.read_text() == ""


def test_of_many_at_once_exactly_one_gets_it(path: Path) -> None:
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda name=name: answers.append(taken(path, str(name))))
        for name in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer["taken"] for answer in answers) == 1


def test_a_process_is_known_by_its_start_and_the_boot() -> None:
    own = {
        "pid": os.getpid(),
        "start": run_lock.start_time(os.getpid()),
        "boot": run_lock.boot_id(),
    }
    assert run_lock.is_running(own)
    assert not run_lock.is_running({**own, "start": "1"})
    assert not run_lock.is_running({**own, "boot": "another"})
    assert not run_lock.is_running({})


def test_a_process_that_has_ended_is_not_running() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = {
            "pid": process.pid,
            "start": run_lock.start_time(process.pid),
            "boot": run_lock.boot_id(),
        }
        assert run_lock.is_running(holder)
    assert not run_lock.is_running(holder)


def test_the_holder_is_the_connections_sshd(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = {
        900: ["python3", "S", "800"],
        800: ["sudo", "S", "700"],
        700: ["sh", "S", "600"],
        600: ["sshd-session", "S", "500"],
        500: ["sshd", "S", "1"],
    }
    monkeypatch.setattr(run_lock, "_status", processes.get)
    assert run_lock.holding_process(900) == 600


def test_without_sshd_it_is_the_topmost_process(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = {900: ["sh", "S", "800"], 800: ["bash", "S", "1"]}
    monkeypatch.setattr(run_lock, "_status", processes.get)
    assert run_lock.holding_process(900) == 800


def test_a_name_with_brackets_does_not_confuse_it(tmp_path: Path) -> None:
    odd = tmp_path / "a) R (b"
    odd.symlink_to(sys.executable)
    code = "print(open('/proc/self/stat').read()); input()"
    with subprocess.Popen(
        [str(odd), "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        expected = process.stdout.readline().rpartition(")")[2].split()[19]
        assert run_lock.start_time(process.pid) == expected


def test_it_works_piped_into_python(path: Path) -> None:
    program = source("run_lock").encode()

    def call(*words: str, **request: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", run_lock.LAUNCHER, str(len(program)), *words],
            input=program + json.dumps(request).encode(),
            capture_output=True,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    first = call("take", str(path), token="a", owner="o", command="rocminfra apply")
    assert first == {"taken": True, "holder": None, "recorded": False}
    refused = call("take", str(path), token="b")
    assert (refused["taken"], refused["holder"]["command"]) == (False, "rocminfra apply")
    assert call("free", str(path), token="a") == {"freed": True}


def book(path: Path) -> list[dict[str, Any]]:
    return run_lock.events(path, 100)


def asked(action: str, path: Path, **request: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", source("run_lock"), action, str(path)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_run_is_in_the_book_with_its_beginning_and_its_end(path: Path) -> None:
    asked("take", path, token="a", owner="alice@laptop", command="rocminfra apply", event={"x": 1})
    asked("free", path, token="a", event={"event": "ended", "token": "a", "outcome": "done"})
    began, ended = book(path)
    assert (began["event"], began["owner"], began["token"], began["x"]) == (
        "began",
        "alice@laptop",
        "a",
        1,
    )
    assert (ended["event"], ended["outcome"]) == ("ended", "done")
    assert began["time"] <= ended["time"]
    assert (path.parent / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_run_that_gets_no_lock_is_in_no_book(path: Path) -> None:
    taken(path, "a")
    holder = json.loads(path.read_text())
    holder |= {
        "pid": os.getpid(),
        "start": run_lock.start_time(os.getpid()),
        "boot": run_lock.boot_id(),
    }
    path.write_text(json.dumps(holder))
    assert asked("take", path, token="b", owner="bob@ci")["taken"] is False
    assert book(path) == []


def test_a_look_changes_nothing(path: Path) -> None:
    assert run_lock.show(path, lambda _h: True) == {"holder": None, "running": False}
    assert not path.parent.exists()
    taken(path, "a")
    before = path.read_text()
    found = run_lock.show(path, lambda _h: True)
    assert (found["holder"]["token"], found["running"]) == ("a", True)
    assert run_lock.show(path, lambda _h: False)["running"] is False
    assert path.read_text() == before


def test_a_broken_lock_is_free_and_the_book_says_by_whom_and_why(path: Path) -> None:
    asked("take", path, token="a", owner="alice@laptop", command="rocminfra apply")
    broken = asked("break", path, owner="bob@ci", reason="she is on holiday")["broken"]
    assert broken["token"] == "a"
    assert path.read_text() == ""
    event = book(path)[-1]
    assert (event["event"], event["owner"], event["reason"]) == (
        "lock broken",
        "bob@ci",
        "she is on holiday",
    )
    assert event["holder"]["owner"] == "alice@laptop"
    # The run goes on, and does not free the lock that another one has taken since.
    asked("take", path, token="b", owner="bob@ci")
    assert asked("free", path, token="a", event={"event": "ended", "token": "a"}) == {
        "freed": False
    }
    assert json.loads(path.read_text())["token"] == "b"


@pytest.mark.parametrize("held", [False, True])
def test_a_lock_that_nobody_holds_is_not_broken(path: Path, held: bool) -> None:
    if held:  # by a run that is gone
        taken(path, "a")
    assert run_lock.break_(path, lambda _h: False) == {"broken": None}
    assert path.exists() is held


def test_a_book_that_grows_too_long_loses_its_older_half(path: Path) -> None:
    path.parent.mkdir()
    for number in range(10):
        run_lock.note(path, {"number": number}, now=0.0, most=300)
    numbers = [event["number"] for event in book(path)]
    assert numbers == list(range(numbers[0], 10))
    assert 2 <= len(numbers) < 10
    assert run_lock.events(path, 2) == book(path)[-2:]


def test_a_line_that_was_cut_off_is_left_out(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "events.jsonl").write_text('{"event": "began"}\n"text"\n{"event": "en')
    assert book(path) == [{"event": "began"}]


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_disk_that_takes_nothing_is_an_answer_and_no_traceback(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    def refuse(*_given: Any, **_more: Any) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"token": "a"}')))
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert run_lock.main(["take", str(path)]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"problem": errno.errorcode[number]}
    assert said.err == f"[Errno {number}] {os.strerror(number)}: '{path}'\n"
