"""One Chromium and one page of each kind for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from opened import DESK, HOSTILE, PHONE, Opened, open_page
from playwright.sync_api import Browser, sync_playwright
from sample_report import bad, renamed, sweep

from rocminfra.report.figures.history import read_history
from rocminfra.report.figures.report import make_report
from rocminfra.report.page.html import render, render_index

RECORDED = Path(__file__).parents[1] / "recorded/runs/demo"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's own; Playwright would download another."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None, "these tests need a browser: apt-get install chromium"
    with sync_playwright() as playwright:
        # Tests run as root, for whom Chromium has no sandbox.
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good run, an invalid one, one with hostile texts, and a recorded one, as files."""
    folder = tmp_path_factory.mktemp("pages")
    reports = {
        "good": sweep(),
        "bad": bad(),
        "hostile": renamed(sweep(), HOSTILE),
        "recorded": make_report(RECORDED),
    }
    found = {"index": folder / "index.html"}
    found["index"].write_text(render_index(read_history(RECORDED.parent)), encoding="utf-8")
    for name, report in reports.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(render(report), encoding="utf-8")
    return found


def _opened(browser: Browser, file: Path, width: int = DESK, **more: str) -> Iterator[Opened]:
    opened = open_page(browser, file, width, **more)  # type: ignore[arg-type]
    # What it looked like, for whoever has to find out why a test failed.
    picture = file.with_name(f"{file.stem}-{width}{''.join(more.values())}.png")
    opened.page.screenshot(path=picture, full_page=True)
    yield opened
    opened.page.close()


@pytest.fixture(scope="session")
def good(browser: Browser, pages: dict[str, Path]) -> Iterator[Opened]:
    yield from _opened(browser, pages["good"])


@pytest.fixture(scope="session")
def dark_phone(browser: Browser, pages: dict[str, Path]) -> Iterator[Opened]:
    yield from _opened(browser, pages["good"], PHONE, scheme="dark")


@pytest.fixture(scope="session")
def invalid(browser: Browser, pages: dict[str, Path]) -> Iterator[Opened]:
    yield from _opened(browser, pages["bad"])


@pytest.fixture(scope="session")
def hostile(browser: Browser, pages: dict[str, Path]) -> Iterator[Opened]:
    yield from _opened(browser, pages["hostile"])


@pytest.fixture(scope="session")
def recorded(browser: Browser, pages: dict[str, Path]) -> Iterator[Opened]:
    yield from _opened(browser, pages["recorded"])


@pytest.fixture(scope="session")
def index(browser: Browser, pages: dict[str, Path]) -> Iterator[Opened]:
    yield from _opened(browser, pages["index"], PHONE)
