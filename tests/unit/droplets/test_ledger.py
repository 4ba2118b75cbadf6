"""The ledger: whole lines, nothing lost, nothing believed that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from droplet_world import START, World, entry

from rocminfra.droplets import creation
from rocminfra.droplets.ledger import BY_PERSON, BY_RUN, DESTROYED, Ledger
from rocminfra.failure import ExitCode, FailedError


def test_what_was_written_is_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.intend(entry())
    created = ledger.created(entry(), 7, 8)
    ready = ledger.ready(created, "ssh-ed25519 AAAA")
    assert ledger.read().entries == (ready,)
    assert ledger.read().open == (ready,)
    assert ledger.keep(ready).owner == BY_PERSON
    closed = ledger.close(ready, DESTROYED, START + 60)
    assert not closed.is_open
    assert ledger.read().open == ()
    assert ledger.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_a_killed_process_left_half_is_as_if_it_was_never_begun(
    tmp_path: Path, cut: int
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.intend(entry())
    whole = ledger.path.stat().st_size
    ledger.intend(entry("rocminfra-id:2"))
    os.truncate(ledger.path, whole + cut)
    assert [item.tag for item in ledger.checked().open] == ["rocminfra-id:1"]
    ledger.intend(entry("rocminfra-id:3"))
    assert [item.tag for item in ledger.checked().open] == ["rocminfra-id:1", "rocminfra-id:3"]


@pytest.mark.parametrize("line", ["rubbish", "{}", '{"event": "created", "tag": "x", "id": 3}'])
def test_a_damaged_line_stops_creation_and_hides_no_other(made: World, line: str) -> None:
    cloud = made.cloud()
    cloud.ledger.intend(entry())
    with cloud.ledger.path.open("a") as file:
        file.write(f"{line}\n")
    cloud.ledger.intend(entry("rocminfra-id:2"))
    book = cloud.ledger.read()
    assert [item.tag for item in book.open] == ["rocminfra-id:1", "rocminfra-id:2"]
    assert [number for number, _ in book.damaged] == [2]
    before = made.ledger_text
    with pytest.raises(FailedError) as caught:
        creation.create(cloud, made.offer(cloud), BY_RUN, "rocminfra-id:9")
    assert caught.value.failure.kind is ExitCode.REFUSED
    assert caught.value.failure.why[0].startswith("line 2: ")
    assert made.requests("POST") == []
    assert made.ledger_text == before


def test_nothing_is_asked_for_when_the_ledger_cannot_be_written(made: World) -> None:
    cloud = made.cloud()
    offer = made.offer(cloud)
    cloud.ledger.path.mkdir()
    with pytest.raises(FailedError) as caught:
        creation.create(cloud, offer, BY_RUN, "rocminfra-id:9")
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert made.requests("POST") == []


def test_the_line_stands_there_before_the_request_leaves(made: World) -> None:
    cloud = made.cloud()
    offer = made.offer(cloud)
    seen = []
    made.stub.on_request = lambda method, _path: (
        seen.append(made.ledger_text) if method == "POST" else None
    )
    creation.create(cloud, offer, BY_RUN, "rocminfra-id:9")
    assert len(seen) == 1
    assert '"event": "intended"' in seen[0]
    assert "rocminfra-id:9" in seen[0]
    assert "rocminfra-id:9" in made.stub.droplets[0].body["tags"]


def test_two_with_one_name(made: World) -> None:
    cloud = made.cloud()
    creation.create(cloud, made.offer(cloud), BY_RUN, "rocminfra-id:1")
    with pytest.raises(FailedError) as caught:
        creation.create(cloud, made.offer(cloud), BY_RUN, "rocminfra-id:2")
    assert caught.value.failure.kind is ExitCode.LOCKED
    assert "mi300x-1 (id 500000001), since 2026-" in caught.value.failure.what
    assert len(made.stub.droplets) == 1


def test_a_name_that_somebody_else_uses(made: World) -> None:
    cloud = made.cloud()
    offer = made.offer(cloud)
    made.stub.create({"name": "mi300x-1", "size": "s-1vcpu-1gb", "region": "atl1"})
    with pytest.raises(FailedError) as caught:
        creation.create(cloud, offer, BY_RUN, "rocminfra-id:2")
    assert caught.value.failure.kind is ExitCode.LOCKED
    assert made.ledger_text == ""
