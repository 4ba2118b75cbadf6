"""Draws docs/report.png and docs/report/: a report as a reader sees it, of a run that was measured.

    .venv/bin/python docs/report_pictures.py results/20261128T231500Z

Needs the packages of `pip install -e '.[dev]'` and Debian's chromium. Nothing in the pictures is
written by hand.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

from rocminfra.report.charts.picture import by_load
from rocminfra.report.figures.report import Wanted, make_report
from rocminfra.report.page.files import picture_files
from rocminfra.report.page.html import render
from rocminfra.report.summary import Report

DOCS = Path(__file__).parent
REFERENCE = DOCS.parent / "benchmarks" / "reference.yaml"
WIDTH = 1_100


def draw(report: Report) -> None:
    """Draw all pictures."""
    folder = DOCS / "report"
    folder.mkdir(exist_ok=True)
    for file in picture_files(report):
        if file.name.endswith(".svg"):
            (folder / file.name).write_bytes(file.content)
    # The busiest of all loads: what saturates shows there.
    number = len(by_load(report.hosts[0]))
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        page_file = Path(scratch) / "report.html"
        page_file.write_text(render(report), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 1_000})
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached")
        header = page.locator("header").bounding_box()
        if header is None:
            raise SystemExit("the page has no first screen")
        # The first picture below it as well, without the contents of the page between them.
        page.add_style_tag(content="nav { display: none } header { padding-bottom: 1.5rem }")
        page.locator("header").screenshot(path=DOCS / "report.png")
        page.locator(f"#h1-p{number}").screenshot(path=folder / "point.png")
        browser.close()


if __name__ == "__main__":
    draw(make_report(Path(sys.argv[1]), Wanted(reference=yaml.safe_load(REFERENCE.read_text()))))
