"""The page's text: several hosts, what is escaped, what the first screen may show."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest
from sample_report import BAD, KNEE, REASON, REPEATED, SATURATION, bad, renamed, sweep

from rocminfra.report.page.contents import headlines, reasons
from rocminfra.report.page.files import picture_files
from rocminfra.report.page.html import render
from rocminfra.report.point_report import Load, PointOutcome, PointReport
from rocminfra.report.summary import Report


def small(report: Report, host: str) -> Report:
    """The same with four points, under another host's name."""
    found = report.hosts[0]
    names = (SATURATION, REPEATED, KNEE, BAD)
    points = tuple(point for point in found.points if point.name in names)
    return dataclasses.replace(
        report, hosts=(dataclasses.replace(found, host=host, points=points),)
    )


@pytest.fixture(scope="module")
def two_hosts() -> str:
    one, other = small(sweep(), "mi300x-1"), small(bad(), "mi300x-2")
    verdict = f"INVALID on mi300x-2; mi300x-1: {one.verdict}"
    return render(
        dataclasses.replace(
            one,
            verdict=verdict,
            is_valid=False,
            hosts=(*one.hosts, *other.hosts),
            warnings=("the hosts measured different scenarios",),
        )
    )


def test_several_hosts_are_one_page_with_a_part_each(two_hosts: str) -> None:
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", two_hosts)
    for host in ("mi300x-1", "mi300x-2"):
        assert host in headings
        assert f"{host}: All points" in headings
    assert "the hosts measured different scenarios" in two_hosts
    assert "✗ invalid</span>" in two_hosts.partition("<h1")[0]


def test_an_invalid_host_has_no_headline_beside_a_valid_one(two_hosts: str) -> None:
    assert two_hosts.count('<dl class="headlines">') == 1
    assert two_hosts.count("Why it is invalid") == 1


def test_every_id_is_given_once_and_every_link_leads_somewhere(two_hosts: str) -> None:
    markup = re.sub(r"<script.*?</script>|<svg.*?</svg>", "", two_hosts, flags=re.DOTALL)
    ids = Counter(re.findall(r' id="([^"]+)"', markup))
    assert [name for name, times in ids.items() if times > 1] == []
    assert set(re.findall(r'href="#([^"]+)"', markup)) <= set(ids)
    labels = re.findall(r'data-spec="([^"]+)"', two_hosts)
    assert len(labels) == len(set(labels))
    assert all(f'id="{label}"' in two_hosts for label in labels)


def test_nothing_is_asked_for(two_hosts: str) -> None:
    markup = re.sub(r"<script>.*?</script>", "", two_hosts, flags=re.DOTALL)
    assert "default-src 'none'" in markup
    assert re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', markup) == []
    assert "@import" not in markup
    assert "url(" not in markup


def test_text_from_a_host_is_escaped_wherever_it_stands() -> None:
    text = "</script><script>alert(1)</script><b>&\"'{{ 7*7 }}"
    page = render(renamed(sweep(), text))
    assert "<script>alert(1)" not in page
    assert "<b>&" not in page
    assert "{{ 7*7 }}" in page
    assert page.count("</script>") == page.count("<script")


def test_headlines_by_hand() -> None:
    host = sweep().hosts[0]
    found = {each.name: (each.value, each.detail) for each in headlines(host)}
    knee = host.point(KNEE)
    assert knee is not None
    assert found["Requests a second"] == ("0.60", "at constant@0.60, the knee")
    assert found["Tokens a second"][0] == f"{0.84 * 9_216 * 1.02:,.0f}"
    # $1.99 / (0.84 x 9,216 x 1.02 x 3,600 / 10^6), and without the 2 % that nobody got.
    assert found["A million tokens"] == (
        "$0.070",
        "all tokens, at $1.99 an hour; $0.071 for completed requests only",
    )


def test_without_a_knee_latencies_are_those_of_the_saturation() -> None:
    host = dataclasses.replace(sweep().hosts[0], knee=None)
    found = {each.name: each.detail for each in headlines(host)}
    assert found["Time to first token"].startswith("median at throughput; p95")


def test_an_invalid_run_has_no_headlines_and_each_reason_once() -> None:
    host = bad().hosts[0]
    assert headlines(host) == ()
    (reason,) = reasons(host)
    assert reason.endswith(f"throughput: {REASON}")


def test_pictures_are_files_in_both_formats_by_host() -> None:
    report = small(sweep(), "mi300x-1")
    names = [file.name for file in picture_files(report)]
    assert names[:2] == ["throughput.svg", "throughput.png"]
    assert len(names) == len(set(names)) == 2 * 6
    both = dataclasses.replace(report, hosts=(*report.hosts, *small(bad(), "mi300x-2").hosts))
    found = {file.name: file.title for file in picture_files(both)}
    assert found["h1-cost.svg"] == "mi300x-1: What does a million tokens cost?"
    # Nothing to draw: an invalid run has no price.
    assert "h2-cost.svg" not in found


def test_a_run_of_which_nothing_is_left_is_a_page_all_the_same() -> None:
    report = small(bad(), "mi300x-1")
    (host,) = report.hosts
    outcomes: tuple[PointOutcome, ...] = ("invalid", "failed", "never run", "failed")
    points = tuple(
        PointReport(f"0{number}", Load("concurrent@4", "concurrent", 4), outcome, ("no record",))
        for number, outcome in enumerate(outcomes)
    )
    empty = dataclasses.replace(host, points=points, provenance=(), repeat=(), warnings=())
    page = render(dataclasses.replace(report, hosts=(empty,), made_at=None))
    for text in (
        "concurrent@4 (4)",
        "✗ never run",
        "No requests of this point are on record.",
        "No engine metrics and no GPU telemetry are on record.",
        "No point has both a throughput and a latency.",
    ):
        assert text in page
    assert 'data-spec="' not in page
