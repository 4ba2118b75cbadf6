"""Every fault at every step: never a droplet that nobody knows, never two for one request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from droplet_matrix import CELLS, FAULTS, LIFE, Played, at_step, play, table
from droplet_world import World

# Once a fault ends by itself, so does the run's trouble; the rest is a refusal.
PASSING = ("limit", "sick", "hang", "cut", "lost", "garbage", "forgets")


# Nobody can destroy these while the trouble lasts: they are named, and stand in the ledger.
UNSETTLED = ("no network from the wait on", "answer lost, and it never shows up in a list")


def check(played: Played) -> None:
    assert played.paid <= 1
    assert played.known
    assert played.printed
    assert not played.alive or played.code == 4


@pytest.mark.parametrize(("fault", "step"), CELLS, ids=lambda text: text.replace(" ", "-"))
def test_a_fault_at_a_step(fault: str, step: str, tmp_path: Path) -> None:
    played = play(at_step(step, fault), tmp_path)
    check(played)
    kind, times = FAULTS[fault]
    if step != "create":
        assert (played.code == 0) == (kind in PASSING and times < 1000)
    # Asked again only where the cloud said that it had not taken the request.
    assert played.posts <= (2 if kind == "limit" else 1)


@pytest.mark.parametrize("name", LIFE, ids=lambda text: text.replace(" ", "-"))
def test_a_life_that_goes_wrong(name: str, tmp_path: Path) -> None:
    played = play(LIFE[name], tmp_path)
    check(played)
    assert played.posts == 1
    assert played.alive == (1 if name in UNSETTLED else 0)


CODES = {
    "capacity gone between the offer and the request": 6,
    "202, then an error": 6,
    "never active": 7,
    "address changes while SSH is awaited": 0,
    "cloud-init never done": 7,
    "somebody else destroys it": 4,
    "Ctrl-C during the wait": 130,
    "closed terminal during the wait": 130,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_the_exit_code_tells_the_class(name: str, code: int, tmp_path: Path) -> None:
    prepare: Callable[[World], None] = LIFE[name]
    assert play(prepare, tmp_path).code == code


def test_the_page_has_the_matrix_as_it_is_played() -> None:
    """docs/droplets.md: `python tests/droplet_matrix.py` prints both tables again."""
    page = (Path(__file__).parents[3] / "docs" / "droplets.md").read_text(encoding="utf-8")
    assert table() in page
