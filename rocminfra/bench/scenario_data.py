"""The data of a scenario: what its requests hold, typed and validated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

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
    prefix_share: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="share of a prompt that it has in common with others, as with a system prompt",
    )
    prefix_count: int = Field(default=1, ge=1, description="how many different shared beginnings")

    @model_validator(mode="after")
    def _shares_what_it_counts(self) -> SyntheticText:
        if "prefix_count" in self.model_fields_set and not self.prefix_share:
            raise ValueError("prefix_count needs prefix_share")
        return self


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


def guidellm_keys(data: Data) -> dict[str, Any]:
    """The data as plain values, with GuideLLM's keys; its defaults are left to GuideLLM.

    GuideLLM puts a shared prefix in front of a prompt's own tokens, so these are what is left.
    """
    values = data.model_dump(mode="json", exclude_none=True)
    if isinstance(data, SyntheticText):
        share, count = values.pop("prefix_share"), values.pop("prefix_count")
        prefix = round(share * data.prompt_tokens)
        if prefix:
            values["prompt_tokens"] = max(1, data.prompt_tokens - prefix)
            values["prefix_buckets"] = [{"prefix_count": count, "prefix_tokens": prefix}]
    return values


DATA_KINDS: dict[str, type[Section]] = {
    "synthetic_text": SyntheticText,
    "document_pages": DocumentPages,
    "image_folder": ImageFolder,
    "huggingface": HubDataset,
    **dict.fromkeys(("parquet_file", "json_file", "csv_file", "arrow_file", "text_file"), DataFile),
}
