"""No two points of a run send the same prompts, nor do two attempts at one."""

from __future__ import annotations

from itertools import product

import pytest

from rocminfra.planning.bench.prompts import Place, document_pages_path, guidellm_data, seed

PARQUET = {"kind": "parquet_file", "path": "/data/docvqa.parquet"}


def test_the_first_attempt_at_the_first_point_has_the_scenarios_own_seed() -> None:
    assert seed(42, Place(0, 10)) == 42


def test_every_attempt_at_every_point_has_a_seed_of_its_own() -> None:
    places = [Place(number, 12, earlier) for number, earlier in product(range(12), range(30))]
    assert len({seed(7, place) for place in places}) == len(places)


def test_synthetic_data_is_as_the_scenario_has_it() -> None:
    data = {"kind": "synthetic_text", "prompt_tokens": 8192, "output_tokens": 1024}
    assert guidellm_data(data, Place(3, 10, 1), None) == data


def test_a_file_is_sent_from_another_row_on_at_every_point() -> None:
    starts = [guidellm_data(PARQUET, Place(number, 4), None) for number in range(4)]
    assert starts[0] == PARQUET
    assert [item["load_kwargs"]["split"] for item in starts[1:]] == [
        "train[25%:]+train[:25%]",
        "train[50%:]+train[:50%]",
        "train[75%:]+train[:75%]",
    ]


def test_a_repeat_begins_between_its_point_and_the_next() -> None:
    splits = [
        guidellm_data(PARQUET, Place(1, 4, earlier), None)["load_kwargs"]["split"]
        for earlier in range(4)
    ]
    assert [int(split.partition("[")[2].partition("%")[0]) for split in splits] == [25, 38, 44, 47]


def test_the_split_of_a_hub_data_set_is_kept() -> None:
    hub = {
        "kind": "huggingface",
        "source": "lmms-lab/DocVQA",
        "load_kwargs": {"name": "DocVQA", "split": "validation"},
    }
    assert guidellm_data(hub, Place(0, 1), None) == hub
    assert guidellm_data(hub, Place(1, 2), None)["load_kwargs"] == {
        "name": "DocVQA",
        "split": "validation[50%:]+validation[:50%]",
    }


@pytest.mark.parametrize(
    "options",
    [{}, {"split": "train[:10%]"}, {"split": "train", "streaming": True}],
)
def test_what_cannot_be_cut_is_left_alone(options: dict[str, object]) -> None:
    hub = {"kind": "huggingface", "source": "a/b", "load_kwargs": options}
    assert guidellm_data(hub, Place(1, 2), None) == hub


def test_a_folder_of_images_is_read_by_the_datasets_library() -> None:
    made = guidellm_data({"kind": "image_folder", "path": "/data/pages"}, Place(1, 2), None)
    assert made == {
        "kind": "huggingface",
        "source": "imagefolder",
        "load_kwargs": {"data_dir": "/data/pages", "split": "train[50%:]+train[:50%]"},
    }


def test_made_pages_are_a_file_named_by_what_is_in_it() -> None:
    data = {"kind": "document_pages", "pages": 128, "questions_per_page": 4, "seed": 42}
    path = document_pages_path(data, "/var/lib/x", 1)
    assert path == "/var/lib/x/document-pages-v1-128x4-42.parquet"
    assert guidellm_data(data, Place(), path) == {"kind": "parquet_file", "path": path}
