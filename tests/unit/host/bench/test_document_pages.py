"""Made document pages: the columns and the size of the real set, the same for the same seed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from pyarrow import parquet

from rocminfra.bench import scenario_data
from rocminfra.host.bench import document_pages
from rocminfra.host.bench.document_pages import HEIGHT, MOST_QUESTIONS, WIDTH, pages, png, write

# Of lmms-lab/DocVQA, configuration DocVQA, split validation.
COLUMNS = [
    *("questionId", "question", "question_types", "image", "docId", "ucsf_document_id"),
    *("ucsf_document_page_no", "answers", "data_split"),
]


def test_the_set_has_the_columns_of_the_real_one_and_images_inside(tmp_path: Path) -> None:
    target = tmp_path / "new" / "set.parquet"
    assert write(target, count=2, questions=2, seed=1) == 4
    table = parquet.read_table(target)
    assert table.column_names == COLUMNS
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert list(features) == COLUMNS
    rows = table.to_pylist()
    for row in rows:
        assert Image.open(io.BytesIO(row["image"]["bytes"])).size == (1700, 2200)
        assert row["question"].endswith("?")
        assert len(row["answers"]) == 1
    assert [row["docId"] for row in rows] == ["0", "1", "0", "1"], "all pages before any again"
    assert len({row["questionId"] for row in rows}) == 4
    assert list(tmp_path.glob("new/.*")) == []


def test_settings_and_planner_know_the_size_of_a_page() -> None:
    assert (scenario_data.PAGE_WIDTH, scenario_data.PAGE_HEIGHT) == (WIDTH, HEIGHT) == (1700, 2200)
    questions = scenario_data.DocumentPages.model_fields["questions_per_page"]
    assert any(getattr(limit, "le", None) == MOST_QUESTIONS for limit in questions.metadata)


def test_the_same_seed_gives_the_same_set_and_another_one_another(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write(tmp_path / name, count=2, questions=1, seed=seed)
    same = [(tmp_path / name).read_bytes() for name in "abc"]
    assert same[0] == same[1]
    assert same[0] != same[2]


def test_what_is_on_a_page_does_not_depend_on_the_python_that_makes_it() -> None:
    (page,) = pages(1, 42)
    assert (page.company, page.reference, page.total) == (
        "Northern Paper Works",
        "A-22280",
        "$66,518.55",
    )


def test_every_answer_is_printed_on_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    original = ImageDraw.ImageDraw.text

    def note(self: ImageDraw.ImageDraw, at: object, words: str, **options: object) -> None:
        printed.append(words)
        original(self, at, words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    for page in pages(3, 42):
        printed.clear()
        png(page)
        for question, answer in page.questions():
            assert any(answer in words for words in printed), question


def test_no_line_runs_over_the_edge_of_its_page() -> None:
    for page in pages(4, 42):
        image = Image.open(io.BytesIO(png(page))).convert("L")
        paper = image.getpixel((5, 5))
        for box in ((WIDTH - 100, 0, WIDTH, HEIGHT), (0, HEIGHT - 60, WIDTH, HEIGHT)):
            assert image.crop(box).getextrema() == (paper, paper), page.number


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    target = tmp_path / "set.parquet"
    command = [sys.executable, "-I", document_pages.__file__, str(target)]
    done = subprocess.run(
        [*command, "--pages", "1", "--questions", "6", "--seed", "3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"6 questions about 1 pages in {target}\n"
