"""Every page of docs/ is shown by ``rocminfra docs``, or is left out on purpose."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.markdown import Markdown

from rocminfra import doc_pages
from rocminfra.failure import Fault

DOCS = Path(__file__).parents[2] / "docs"
# For contributors, figures of this machine, and what hangs on hardware that nobody has yet.
LEFT_OUT = {"architecture", "engine-simulator", "performance", "real-droplet"}


def test_every_page_is_a_topic_or_left_out() -> None:
    assert {path.stem for path in DOCS.glob("*.md")} == set(doc_pages.TOPICS) | LEFT_OUT
    assert list(doc_pages.TOPICS) == sorted(doc_pages.TOPICS)


@pytest.mark.parametrize("topic", doc_pages.TOPICS)
def test_a_page_has_a_title_and_is_the_file(topic: str) -> None:
    assert doc_pages.title(topic)
    assert doc_pages.page(topic) == (DOCS / f"{topic}.md").read_text(encoding="utf-8")


def test_the_wheel_holds_every_page() -> None:
    listed = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    for topic in doc_pages.TOPICS:
        assert f'"docs/{topic}.md" = "rocminfra/pages/{topic}.md"\n' in listed


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.code)
def test_every_code_of_an_error_has_its_section(fault: Fault) -> None:
    section = doc_pages.page(fault.code)
    assert section.startswith(f"### {fault.code} ")
    assert section.count("###") == 1
    assert len(section.splitlines()) >= 2


@pytest.mark.parametrize("topic", ["nothing", "RI-000", "../pyproject", "architecture"])
def test_there_are_no_other_pages(topic: str) -> None:
    with pytest.raises(KeyError):
        doc_pages.page(topic)


def test_a_page_fits_eighty_columns_as_the_terminal_shows_it() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(Markdown(doc_pages.page("day-two")))
    assert max(map(len, out.getvalue().splitlines())) <= 80
