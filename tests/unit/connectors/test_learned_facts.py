"""A learned list helps when it can and is as good as absent when it cannot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from local_host import Run, Wire, lists
from pyinfra.facts.server import Hostname, Kernel

from rocminfra.connectors.learned_facts import MOST_QUESTIONS, RUNS_UNASKED, LearnedList, Record


def question(name: str) -> Record:
    return {"fact": name, "arguments": {}, "identity": {}, "supplied": []}


A, B, C, D = (question(name) for name in "abcd")


@pytest.fixture
def learned(tmp_path: Path) -> LearnedList:
    return LearnedList("deploy.py", tmp_path)


def test_what_a_host_asked_is_there_in_the_next_run(learned: LearnedList, tmp_path: Path) -> None:
    learned.remember("h1", [A, B])
    assert LearnedList("deploy.py", tmp_path).for_host("h1") == [A, B]


def test_a_new_host_starts_with_what_the_others_asked(learned: LearnedList) -> None:
    learned.remember("h1", [A, B])
    learned.remember("h2", [B, C])
    assert learned.for_host("h3") == [A, B, C]
    assert learned.for_host("h2") == [B, C]


def test_lists_of_different_deploys_are_apart(learned: LearnedList, tmp_path: Path) -> None:
    learned.remember("h1", [A])
    assert LearnedList("other.py", tmp_path).for_host("h1") == []


def test_a_question_that_is_not_asked_any_more_is_forgotten_in_time(learned: LearnedList) -> None:
    learned.remember("h1", [A, B])
    for _ in range(RUNS_UNASKED):
        learned.remember("h1", [A])
        assert B in learned.for_host("h1")
    learned.remember("h1", [A])
    assert learned.for_host("h1") == [A]


def test_a_run_that_was_cut_short_forgets_nothing(learned: LearnedList) -> None:
    learned.remember("h1", [A, B, C, D])
    for _ in range(RUNS_UNASKED + 2):
        learned.remember("h1", [A])
    assert len(learned.for_host("h1")) == 4
    learned.remember("h1", [])
    assert len(learned.for_host("h1")) == 4


def test_a_list_that_stays_equal_is_not_written(learned: LearnedList) -> None:
    learned.remember("h1", [A, B])
    before = learned.path.stat()
    learned.remember("h1", [A, B])
    after = learned.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_list_is_bounded(learned: LearnedList) -> None:
    learned.remember("h1", [question(str(number)) for number in range(MOST_QUESTIONS + 100)])
    assert len(learned.for_host("h1")) == MOST_QUESTIONS


def broken(learned: LearnedList) -> dict[str, bytes]:
    document = json.loads(learned.path.read_text())
    return {
        "empty": b"",
        "no JSON": b"{",
        "no text": b"\xff\xfe\x00",
        "another document": b"[]",
        "deep": b"[" * 100_000,
        "of another version": json.dumps({**document, "format": 999}).encode(),
        "of another deploy": json.dumps({**document, "deploy": "other.py"}).encode(),
        "hosts of another shape": json.dumps({**document, "hosts": {"h1": "touch x"}}).encode(),
        "entries of another shape": json.dumps({**document, "hosts": {"h1": [1]}}).encode(),
        "numbers of no question": json.dumps({**document, "hosts": {"h1": [[7, 0]]}}).encode(),
        "questions of another shape": json.dumps({**document, "questions": ["touch x"]}).encode(),
        "null": b"null",
    }


@pytest.mark.parametrize(
    "how",
    [
        *("empty", "no JSON", "no text", "another document", "deep", "null", "of another version"),
        *("of another deploy", "hosts of another shape", "entries of another shape"),
        *("numbers of no question", "questions of another shape"),
    ],
)
def test_a_list_that_cannot_be_used_is_ignored_and_written_anew(
    learned: LearnedList, how: str
) -> None:
    learned.remember("h1", [A])
    learned.path.write_bytes(broken(learned)[how])
    assert learned.for_host("h1") == []
    learned.remember("h1", [B])
    assert learned.for_host("h1") == [B]


@pytest.mark.parametrize("mode", [0o666, 0o660])
def test_a_list_that_others_can_write_is_ignored(learned: LearnedList, mode: int) -> None:
    learned.remember("h1", [A])
    learned.path.chmod(mode)
    assert learned.for_host("h1") == []


def test_a_list_that_is_a_link_is_ignored(learned: LearnedList, tmp_path: Path) -> None:
    learned.remember("h1", [A])
    elsewhere = tmp_path / "elsewhere"
    os.rename(learned.path, elsewhere)
    learned.path.symlink_to(elsewhere)
    assert learned.for_host("h1") == []


def test_the_list_is_the_users_alone(wire: Wire, cache: Path) -> None:
    with Run() as run:
        run.host.get_fact(Kernel)
    (path,) = lists(cache)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_cache_that_cannot_be_written_costs_no_run(
    wire: Wire, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    for _ in range(2):
        with Run() as run:
            assert run.host.get_fact(Kernel) == "Linux"


def test_a_run_with_a_broken_list_is_a_plain_run(wire: Wire, cache: Path) -> None:
    with Run() as run:
        run.host.get_fact(Kernel)
        run.host.get_fact(Hostname)
    (path,) = lists(cache)
    path.write_bytes(os.urandom(4096))
    wire.execs.clear()
    with Run() as run:
        assert run.host.get_fact(Kernel) == "Linux"
        run.host.get_fact(Hostname)
    assert (len(wire.execs), len(wire.batches)) == (2, 0)
    assert json.loads(path.read_text())["hosts"]["h1"] != []
