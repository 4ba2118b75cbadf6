"""A report in a browser: whole, alone, readable, and honest about an invalid run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from opened import DESK, HOSTILE, LOW_CONTRAST, PHONE, Opened, open_page
from playwright.sync_api import Browser
from sample_report import MODEL, REASON, sweep

# Keys of a page with one host.
OVERVIEW = ("throughput", "latency", "phases", "cost", "goodput", "predicted")


def count(opened: Opened, key: str, kind: str) -> int:
    """Marks of one kind in a chart; Vega names every mark that shows data."""
    return opened.page.locator(f"#{key} svg [aria-roledescription='{kind}']").count()


@pytest.mark.parametrize("name", ["good", "dark_phone", "invalid", "hostile", "recorded", "index"])
def test_the_page_needs_nothing_else_and_has_nothing_to_complain_of(
    name: str, request: pytest.FixtureRequest
) -> None:
    opened: Opened = request.getfixturevalue(name)
    assert opened.said == []
    assert opened.asked == []


def test_it_is_small_enough_to_mail(pages: dict[str, Path]) -> None:
    assert pages["good"].stat().st_size < 3_000_000


def test_every_chart_is_there_with_all_of_its_marks(good: Opened) -> None:
    """Ten points: one invalid, so nine on every line."""
    # Median and p95 of ten points, and two rings.
    assert count(good, "h1-throughput", "point") == 2 * 10 + 2
    legend = "#h1-throughput svg [aria-roledescription=legend] text"
    assert good.page.locator(legend).all_text_contents() == ["median", "p95", "not valid"]
    # Three latencies, three quantiles.
    assert count(good, "h1-latency", "point") == 3 * 3 * 9
    assert count(good, "h1-latency", "line mark") == 3 * 3
    assert count(good, "h1-latency", "rule mark") == 1
    assert count(good, "h1-phases", "bar") == 3 * 9
    assert count(good, "h1-cost", "point") == 2 * 9
    assert count(good, "h1-goodput", "bar") == 2 * 9
    assert count(good, "h1-predicted", "point") == 3 * 2 * 9
    for number in range(1, 11):
        # KV cache's edge, running, waiting, preemptions, power, VRAM; its window in each strip.
        assert count(good, f"h1-p{number}-time", "line mark") == 6
        assert count(good, f"h1-p{number}-time", "rect mark") == 5
        # Median and p95 of three latencies.
        assert count(good, f"h1-p{number}-requests", "rule mark") == 3 * 2
        assert count(good, f"h1-p{number}-requests", "bar") >= 3


def test_a_recorded_run_has_all_of_its_pictures(recorded: Opened) -> None:
    assert count(recorded, "h1-throughput", "point") == 2 * 5 + 2
    assert count(recorded, "h1-latency", "point") == 3 * 3 * 5
    assert count(recorded, "h1-phases", "bar") == 3 * 5
    for number in range(1, 6):
        assert count(recorded, f"h1-p{number}-time", "line mark") == 6
        assert count(recorded, f"h1-p{number}-requests", "bar") >= 3


@pytest.mark.parametrize("name", ["good", "dark_phone", "invalid", "recorded", "index"])
def test_nothing_is_wider_than_the_screen(name: str, request: pytest.FixtureRequest) -> None:
    opened: Opened = request.getfixturevalue(name)
    assert opened.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    wide = opened.page.evaluate(
        """() => [...document.querySelectorAll(".chart")].filter((chart) => {
             const svg = chart.querySelector("svg");
             return Number(svg.getAttribute("width")) > chart.clientWidth + 1;
           }).map((chart) => chart.dataset.spec)"""
    )
    # Drawn for this width: nothing was scaled down to texts too small to read.
    assert wide == []


def test_a_narrower_window_draws_the_charts_anew(browser: Browser, pages: dict[str, Path]) -> None:
    opened = open_page(browser, pages["recorded"])
    try:
        before = float(opened.page.locator("#h1-cost svg").get_attribute("width") or 0)
        opened.page.set_viewport_size({"width": PHONE, "height": 900})
        opened.page.wait_for_function(
            "() => Number(document.querySelector('#h1-cost svg').getAttribute('width')) < 360"
        )
        assert before > 700
        assert opened.said == []
    finally:
        opened.page.close()


@pytest.mark.parametrize("name", ["good", "dark_phone", "invalid"])
def test_every_text_has_enough_contrast(name: str, request: pytest.FixtureRequest) -> None:
    opened: Opened = request.getfixturevalue(name)
    seen, low = opened.page.evaluate(LOW_CONTRAST)
    assert seen > 300
    assert low == []


def test_dark_is_dark_and_charts_follow(dark_phone: Opened, good: Opened) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert good.page.evaluate(ground) == "rgb(255, 255, 255)"
    assert dark_phone.page.evaluate(ground) == "rgb(21, 25, 30)"
    shade = (
        "getComputedStyle(document.querySelector(\"#h1-cost [aria-roledescription='point']\")).fill"
    )
    assert good.page.evaluate(shade) == "rgb(0, 114, 178)"
    assert dark_phone.page.evaluate(shade) == "rgb(86, 180, 233)"


def test_a_keyboard_reaches_everything_in_the_order_of_the_page(good: Opened) -> None:
    page = good.page
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tops = []
    for _ in range(30):
        page.keyboard.press("Tab")
        tops.append(
            page.evaluate(
                """() => {
                  const box = document.activeElement.getBoundingClientRect();
                  // Both charts of a point stand side by side.
                  return box.left < 600 ? box.top + window.scrollY : null;
                }"""
            )
        )
    left = [top for top in tops if top is not None]
    assert len(left) > 15
    assert left == sorted(left)
    assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0
    summary = page.locator("#h1-cost summary")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#h1-cost table").is_visible()
    page.keyboard.press("Enter")


def test_a_screen_reader_gets_headings_tables_and_words_for_every_chart(good: Opened) -> None:
    levels = good.page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    charts = good.page.locator(".chart").all()
    assert len(charts) == len(OVERVIEW) + 2 * 10
    for chart in charts:
        assert chart.get_attribute("role") == "img"
        assert len(chart.get_attribute("aria-label") or "") > 20
    unnamed = good.page.evaluate(
        """[...document.querySelectorAll("table")].filter((table) =>
             !table.caption || !table.querySelector("th[scope=col]")
             || !table.querySelector("th[scope=row]")).length"""
    )
    assert unnamed == 0
    assert good.page.evaluate("document.documentElement.lang") == "en"


def test_the_first_screen_says_what_was_found_with_what_and_how_to_repeat_it(good: Opened) -> None:
    report = sweep()
    header = good.page.locator("header").inner_text()
    assert good.page.locator("h1").inner_text() == report.verdict
    for text in (
        *(MODEL, "vLLM 0.20.1", "rocminfra bench --scenario synthetic_sweep", "valid", "3.57 s"),
        "The load generator ran on the same host as the engine",
    ):
        assert text in header


def test_a_bad_run_is_not_taken_for_a_good_one(invalid: Opened) -> None:
    page = invalid.page
    header = page.locator("header").inner_text()
    assert "✗ invalid" in header
    assert REASON in header
    assert page.title().startswith("INVALID")
    assert page.locator(".headlines").count() == 0
    for word in ("$", "knee", "saturation", "✓"):
        assert word not in header.lower()
    # Nor further down: no price, no mark beside a point, no line.
    assert "$0" not in page.locator("main").inner_text()
    assert count(invalid, "h1-throughput", "line mark") == 0
    assert page.locator("tr.invalid").count() == 10


def test_invalid_and_repeated_points_say_why(good: Opened) -> None:
    main = good.page.locator("main")
    assert f"constant@0.70 is invalid: {REASON}" in main.inner_text()
    assert "constant@0.30 took 2 attempts." in main.inner_text()
    assert "GuideLLM hung after its load had ended" in main.inner_text()
    row = good.page.locator("tr.invalid")
    assert row.count() == 1
    # The price of an invalid point is no price.
    assert row.locator("td").last.inner_text() == "–"


def test_text_from_a_host_is_text(hostile: Opened) -> None:
    page = hostile.page
    assert HOSTILE in page.locator("h1").inner_text()
    # A tooltip shows a label as well.
    page.locator("#h1-cost [aria-roledescription='point']").first.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "<script>" in page.locator("#vg-tooltip-element").inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == page.locator("script:not([onerror])").count()


def test_on_paper_tables_are_open_and_nothing_is_cut_off(good: Opened, tmp_path: Path) -> None:
    page = good.page
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    try:
        # Paper of 210 mm with margins of 14, at 96 dots an inch.
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 688, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 688
    finally:
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": DESK, "height": 900})
    paper = tmp_path / "report.pdf"
    page.pdf(path=paper, format="A4")
    assert paper.read_bytes().startswith(b"%PDF")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_without_scripts_the_pictures_over_all_points_are_there(
    browser: Browser, pages: dict[str, Path]
) -> None:
    """Previews of mails run none."""
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(pages["good"].as_uri())
        for key in OVERVIEW:
            assert page.locator(f"#h1-{key} svg").count() == 1
        assert "needs JavaScript" in page.locator("#h1-p1-time").inner_text()
    finally:
        context.close()


def test_the_page_over_all_runs_follows_valid_runs_and_shows_the_others(index: Opened) -> None:
    """Four valid runs and one that failed, of two scenarios."""
    page = index.page
    assert page.locator("h1").inner_text() == "5 benchmark runs, 4 valid"
    assert page.locator("ul.runs li").count() == 5
    assert page.locator("ul.runs .bad").count() == 1
    # Throughput, ITL and price of each valid run.
    marks = page.locator("svg [aria-roledescription='point']")
    assert marks.count() == 3 * 4
