"""Releases that were tried, and those that are only said."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocminfra.planning.releases import TRIED, OsRelease, too_old_for_guidellm, untried

PAGE = Path(__file__).parents[3] / "docs/real-droplet.md"


@pytest.mark.parametrize(("distribution", "version"), list(TRIED))
def test_a_release_that_was_tried_needs_no_words(distribution: str, version: str) -> None:
    assert untried(OsRelease(distribution, version, "any")) is None


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (OsRelease("ubuntu", "24.04", "Ubuntu 24.04.1 LTS"), "Ubuntu 24.04.1 LTS"),
        (OsRelease("ubuntu", "12", "Ubuntu 12"), "Ubuntu 12"),
        (OsRelease("debian", "", "Debian GNU/Linux forky/sid"), "forky/sid"),
        (None, "a system without /etc/os-release"),
    ],
)
def test_any_other_is_named_in_one_line(release: OsRelease | None, name: str) -> None:
    notice = untried(release)
    assert notice is not None
    assert name in notice
    assert "\n" not in notice
    assert "the run continues" in notice


def test_what_was_tried_is_what_the_page_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, _, table = page.partition("## What was tried")
    rows = [line for line in table.splitlines() if line.startswith("| Debian")]
    assert [row.split("|")[1].strip() for row in rows] == list(TRIED.values())


@pytest.mark.parametrize(
    ("python", "too_old"), [((3, 9), True), ((2, 7), True), (None, True), ((3, 10), False)]
)
def test_python_of_guidellm(python: tuple[int, int] | None, too_old: bool) -> None:
    assert too_old_for_guidellm(python) is too_old
