"""Every state of a disk, on real block devices, through pyinfra itself.

A refusal is asserted by its message, by the exit code, and by the disk: not one byte of it has
changed, and its write counter has not moved. What converges has to be right the second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_preparations import UUID
from storage_room import Room, open_room
from storage_states import STATES, State

pytestmark = pytest.mark.lab


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.slug)
def test_state(room: Room, state: State) -> None:
    disk = room.disk()
    data = {"device": disk.path, **(state.prepare(room, disk) or {})}
    if state.decision == "Refuse":
        before = (disk.sha256(), disk.sectors_written(), room.fstab())
    run = room.pyinfra(**data)
    assert run.decision == state.decision, run.text
    assert state.says in run.text
    if state.decision == "Refuse":
        assert run.code == 1
        assert ("--data wipe=" in run.text) == state.token
        assert "Traceback" not in run.text
        assert (disk.sectors_written(), room.fstab()) == before[1:]
        assert disk.sha256() == before[0]
        return
    assert run.code == 0, run.text
    again = room.pyinfra(**data)
    assert (again.code, again.decision) == (0, "Keep"), again.text
    assert "UUID=" in room.fstab()
    if UUID in state.says:
        assert f"UUID={UUID} " in room.fstab()
