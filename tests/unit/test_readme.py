"""What the README shows and promises is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rocminfra.lab import demo
from rocminfra.report import table
from rocminfra.report.figures.report import make_report
from rocminfra.report.page.files import picture_files

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_or_names_as_a_test_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    linked = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [
        link for link in linked if link and "://" not in link and not (page.parent / link).exists()
    ]
    named = re.findall(r"`(tests/[^`\s:]+\.py)", text)
    missing += [name for name in named if not any(ROOT.glob(name))]
    assert missing == []


def test_the_first_screen_has_both_commands_and_a_picture() -> None:
    first = "\n".join(README.splitlines()[:25])
    assert "make demo" in first
    assert "make test" in first
    assert "](docs/demo.svg)" in first
    assert "](docs/report.png)" in first


def test_the_pictures_of_the_report_are_those_that_a_report_has_today() -> None:
    """Drawn by docs/report_pictures.py; a new question or another axis has to be drawn again."""
    report = make_report(ROOT / "tests" / "recorded" / "runs" / "demo")
    today = {file.name: file for file in picture_files(report) if file.name.endswith(".svg")}
    assert len(today) >= 5
    for name, file in today.items():
        assert _titles((ROOT / "docs" / "report" / name).read_text("utf-8")) == _titles(
            file.content.decode()
        )


def _titles(svg: str) -> list[str]:
    found = re.findall(r"role-(?:axis-title|title-text|legend-label)[^>]*>(.*?)</g>", svg)
    texts = [text for part in found for text in re.findall(r"<text[^>]*>([^<]*)", part)]
    # Whether times are in s or ms depends on the run.
    return [re.sub(r", m?s$", "", text) for text in texts]


def test_every_promise_names_the_test_that_tries_to_break_it() -> None:
    rows = re.findall(r"^\| (P\d) \| .+ \| (.+) \|$", README, flags=re.MULTILINE)
    assert [name for name, _ in rows] == ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"]
    assert all("`tests/" in tests for _, tests in rows)


def test_the_picture_is_of_what_the_demo_prints_today() -> None:
    tree = ElementTree.parse(ROOT / "docs" / "demo.svg")
    lines = ["".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    stages = [line for line in lines if line.startswith("==> ")]
    assert [stage.removeprefix("==> ").rpartition(" (")[0] for stage in stages] == list(demo.STAGES)
    (headings,) = (line for line in lines if "TTFT" in line)
    assert headings.split() == " ".join(table.HEADINGS[1:]).split()
    assert any("simulated" in line and "+sim" in line for line in lines), "no real figures"


def test_the_picture_is_drawn_from_the_demos_output_alone(tmp_path: Path) -> None:
    script = tmp_path / "demo_svg.py"
    script.write_text((ROOT / "docs" / "demo_svg.py").read_text(encoding="utf-8"))
    output = tmp_path / "demo.txt"
    output.write_text(
        "==> Practice droplet\n    Practice droplet: 7 s\n"
        "    [demo]          point  ok\n    [demo]          a<b     1\n    [demo]  Success\n"
        "\nThe whole demo took 9 s.\n"
    )
    command = [sys.executable, str(script), str(output)]
    subprocess.run(command, check=True, timeout=30)
    tree = ElementTree.parse(tmp_path / "demo.svg")
    shown = ["".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert shown == [
        "$ make demo",
        "==> Practice droplet (7 s)",
        "    point  ok",
        "    a<b     1",
        "The whole demo took 9 s.",
    ]
    output.write_text("==> Practice droplet\n\nThe demo failed: no\n")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0
