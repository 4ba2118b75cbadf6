"""Make a set of document pages with questions and answers, for a benchmark without the hub.

    python -I document_pages.py TARGET --pages 128 --questions 4 --seed 42

Writes a Parquet file with the columns of ``lmms-lab/DocVQA``, its images as PNG inside. Pages are
US letter at 200 dpi, 1700 × 2200 pixels, like scans of letters, invoices and forms: letterhead,
paragraphs, a table with a total, a signature. The same arguments give the same pages, questions and
answers; the same version of Pillow gives the same bytes.

It runs with the Python of GuideLLM's environment, which has Pillow and pyarrow. Nothing of ours is
imported: this file is copied to the host as it is.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Changes whenever the pages do; part of the file's name.
VERSION = 1
WIDTH, HEIGHT = 1700, 2200
MOST_QUESTIONS = 6

_MARGIN = 150
_ROW_GROUP = 64
_PARAGRAPHS = 3

_COMPANIES = (
    *("Harbour Freight Services", "Northern Paper Works", "Delta Instruments", "Alder & Finch"),
    *("Continental Glass", "Meridian Dairy", "Blue Ridge Printing", "Orchard Street Pharmacy"),
)
_PEOPLE = (
    *("Anna Keller", "Tomas Lindqvist", "Maria Oliveira", "James Whitfield", "Priya Raman"),
    *("Kofi Mensah", "Elena Petrova", "David Okafor", "Ingrid Haugen", "Samuel Ortiz"),
)
_ITEMS = (
    *("Copy paper", "Steel bolts", "Glass bottles", "Printed labels", "Wooden crates"),
    *("Packing tape", "Rubber seals", "Light bulbs", "Filter cartridges", "Cotton gloves"),
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_SENTENCES = (
    "Please find below the goods that were delivered to your warehouse during the past month.",
    "The quantities were counted on arrival and agree with the delivery notes that we hold.",
    "Payment is due within thirty days of the date above, without deduction.",
    "Goods that arrived damaged must be reported in writing within ten days.",
    "Our prices include packing and carriage to the address named in your order.",
    "We have noted your request for an earlier delivery and have passed it on to the depot.",
    "Should any figure differ from your own records, kindly let us know by return of post.",
    "The next delivery is planned for the second week of the coming month.",
    "A copy of this document has been sent to your accounts department.",
    "We thank you for your order and remain at your service for any question.",
)


@dataclass(frozen=True)
class Page:
    """What stands on one page.

    + number: from 0; also its ``docId``
    + rows: item, quantity and price of each line of the table, the price in cents
    + sentences: the text above the table
    """

    number: int
    company: str
    recipient: str
    signed_by: str
    date: str
    reference: str
    rows: tuple[tuple[str, int, int], ...]
    sentences: tuple[str, ...]

    @property
    def total(self) -> str:
        """The total amount as it is printed."""
        return _money(sum(quantity * price for _, quantity, price in self.rows))

    def questions(self) -> tuple[tuple[str, str], ...]:
        """Questions about the page with their answers, :data:`MOST_QUESTIONS` of them."""
        item, quantity, _ = self.rows[self.number % len(self.rows)]
        return (
            ("What is the total amount?", self.total),
            ("What is the reference number of this document?", self.reference),
            ("What is the date of this document?", self.date),
            ("Who signed this document?", self.signed_by),
            (f"What is the quantity of {item.lower()}?", str(quantity)),
            ("Which company sent this document?", self.company),
        )


def pages(count: int, seed: int) -> Iterator[Page]:
    """The contents of the pages.

    + count: how many
    + seed: the same seed gives the same pages
    """
    # Integers only: their sequence for a seed is the same in every Python from 3.2 on.
    chance = random.Random(seed)
    for number in range(count):
        items = chance.sample(_ITEMS, 6)
        yield Page(
            number=number,
            company=chance.choice(_COMPANIES),
            recipient=chance.choice(_PEOPLE),
            signed_by=chance.choice(_PEOPLE),
            date=f"{chance.choice(_MONTHS)} {chance.randrange(1, 29)}, "
            f"{chance.randrange(1962, 1999)}",
            reference=f"{chance.choice('ABCDEFGH')}-{chance.randrange(10_000, 99_999)}",
            rows=tuple(
                (item, chance.randrange(1, 400), chance.randrange(50, 9_000)) for item in items
            ),
            sentences=tuple(chance.choice(_SENTENCES) for _ in range(5 * _PARAGRAPHS)),
        )


def rows(count: int, questions: int, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of the set, a question each.

    + count: number of pages
    + questions: questions about each page, at most :data:`MOST_QUESTIONS`
    + seed: of the contents

    All pages are asked about once before any is asked about again, so that a short benchmark sends
    as many different images as there are.
    """
    contents = list(pages(count, seed))
    images = [png(page) for page in contents]
    for turn in range(questions):
        for page, image in zip(contents, images):
            found = page.questions()
            question, answer = found[(page.number + turn) % len(found)]
            yield {
                "questionId": str(page.number * MOST_QUESTIONS + turn),
                "question": question,
                "question_types": ["form"],
                "image": {"bytes": image, "path": f"page-{page.number}.png"},
                "docId": str(page.number),
                "ucsf_document_id": f"made-{seed}-{page.number}",
                "ucsf_document_page_no": "1",
                "answers": [answer],
                "data_split": "made",
            }


def png(page: Page) -> bytes:
    """The page as a PNG image of :data:`WIDTH` × :data:`HEIGHT` pixels."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (WIDTH, HEIGHT), (250, 248, 242))
    draw = ImageDraw.Draw(image)
    ink, right = (34, 34, 40), WIDTH - _MARGIN
    fonts = {size: ImageFont.load_default(size) for size in (30, 34, 58)}

    def text(x: int, y: int, words: str, size: int = 34, anchor: str = "la") -> None:
        draw.text((x, y), words, fill=ink, font=fonts[size], anchor=anchor)

    text(_MARGIN, 120, page.company, 58)
    draw.line((_MARGIN, 210, right, 210), fill=ink, width=4)
    text(_MARGIN, 240, f"To: {page.recipient}")
    text(right, 240, page.date, anchor="ra")
    text(right, 295, f"Reference: {page.reference}", anchor="ra")
    y = 420
    for start in range(0, len(page.sentences), 5):
        for line in _wrapped(" ".join(page.sentences[start : start + 5]), 88):
            text(_MARGIN, y, line)
            y += 50
        y += 36
    y += 20
    edges = (_MARGIN, 800, 1050, 1300, right)
    table = [("Item", "Quantity", "Price", "Amount")]
    table += [
        (item, str(quantity), _money(price), _money(quantity * price))
        for item, quantity, price in page.rows
    ]
    table.append(("Total amount", "", "", page.total))
    top = y
    for cells in table:
        draw.line((_MARGIN, y, right, y), fill=ink, width=2)
        text(edges[0] + 16, y + 12, cells[0], 30)
        for column, cell in enumerate(cells[1:], start=2):
            text(edges[column] - 16, y + 12, cell, 30, "ra")
        y += 58
    draw.line((_MARGIN, y, right, y), fill=ink, width=2)
    for edge in edges:
        draw.line((edge, top, edge, y), fill=ink, width=2)
    text(_MARGIN, HEIGHT - 260, f"Signed: {page.signed_by}")
    draw.line((_MARGIN, HEIGHT - 200, 760, HEIGHT - 200), fill=ink, width=2)
    text(WIDTH // 2, HEIGHT - 110, f"Page 1 of 1 · document {page.number}", 30, "ma")
    stream = io.BytesIO()
    # Fast: GuideLLM encodes it again anyway, as JPEG.
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def write(target: Path, count: int, questions: int, seed: int) -> int:
    """Write the set atomically and return the number of its rows.

    + target: the Parquet file; its folder is made when missing
    + count, questions, seed: as for :func:`rows`
    """
    import pyarrow
    from pyarrow import parquet

    strings = pyarrow.list_(pyarrow.string())
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    kinds = {"question_types": strings, "answers": strings, "image": image}
    names = (
        *("questionId", "question", "question_types", "image", "docId", "ucsf_document_id"),
        *("ucsf_document_page_no", "answers", "data_split"),
    )
    plain = {"dtype": "string", "_type": "Value"}
    features = {
        name: {"_type": "Image"} if name == "image" else [plain] if name in kinds else plain
        for name in names
    }
    schema = pyarrow.schema(
        [(name, kinds.get(name, pyarrow.string())) for name in names],
        # Tells the datasets library that the column holds images.
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    written = 0
    with parquet.ParquetWriter(new, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        for row in rows(count, questions, seed):
            group.append(row)
            if len(group) == _ROW_GROUP:
                writer.write_table(pyarrow.Table.from_pylist(group, schema))
                written, group = written + len(group), []
        if group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
            written += len(group)
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    new.replace(target)
    return written


def main(arguments: Sequence[str]) -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="document pages with questions, as Parquet")
    parser.add_argument("target", type=Path)
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--questions", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args(arguments)
    count = write(options.target, options.pages, options.questions, options.seed)
    print(f"{count} questions about {options.pages} pages in {options.target}")
    return 0


def _money(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


def _wrapped(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
