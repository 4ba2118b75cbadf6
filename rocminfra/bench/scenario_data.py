"""The data of a scenario: what its requests hold, typed and validated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rocminfra.settings import AbsolutePath, OneLine, Section

# US letter at 200 dpi, as in rocminfra.host.bench.document_pages.
PAGE_WIDTH, PAGE_HEIGHT = 1700, 2200


class SyntheticText(Section):
    """Prompts of random words with a given length in the model's tokens."""

    kind: Literal["synthetic_text"]
    prompt_tokens: int = Field(ge=1)
    output_tokens: int = Field(ge=1)
    prompt_tokens_stdev: int | None = Field(default=None, ge=0)
    output_tokens_stdev: int | None = Field(default=None, ge=0)


class DocumentPages(Section):
    """Document pages with questions, made on the host, with the columns of ``lmms-lab/DocVQA``."""

    kind: Literal["document_pages"]
    pages: int = Field(default=128, ge=1, le=5000, description="pages of 1700 × 2200 pixels")
    questions_per_page: int = Field(default=4, ge=1, le=6)
    seed: int = Field(default=42, ge=0, description="of what stands on the pages")


class DataFile(Section):
    """A file on the host that sends the requests."""

    kind: Literal["parquet_file", "json_file", "csv_file", "arrow_file", "text_file"]
    path: AbsolutePath
    load_kwargs: dict[str, Any] = Field(default={})


class ImageFolder(Section):
    """A folder of images on the host, with a ``metadata.jsonl`` that holds the questions."""

    kind: Literal["image_folder"]
    path: AbsolutePath


class HubDataset(Section):
    """A dataset on the Hugging Face Hub, or a local copy in a folder on the host."""

    kind: Literal["huggingface"]
    source: OneLine
    load_kwargs: dict[str, Any] = Field(default={})


Data = Annotated[
    SyntheticText | DocumentPages | DataFile | ImageFolder | HubDataset,
    Field(discriminator="kind"),
]

DATA_KINDS: dict[str, type[Section]] = {
    "synthetic_text": SyntheticText,
    "document_pages": DocumentPages,
    "image_folder": ImageFolder,
    "huggingface": HubDataset,
    **dict.fromkeys(("parquet_file", "json_file", "csv_file", "arrow_file", "text_file"), DataFile),
}
