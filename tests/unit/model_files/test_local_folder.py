"""A folder that is about to be served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rocminfra.model_files import files_to_serve, folder_problem

CASES = Path(__file__).parent / "cases"


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_to_serve(folder)]


def test_what_belongs_to_a_checkout_or_is_there_twice_stays_behind(tmp_path: Path) -> None:
    for name in (
        *("config.json", "model.safetensors", "sub/modules.json", "consolidated.safetensors"),
        *("consolidated.00.pth", ".git/HEAD", ".cache/huggingface/x", "original/params.json"),
        "sub/.git/HEAD",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    assert names(tmp_path) == ["config.json", "model.safetensors", "sub/modules.json"]
    (tmp_path / "model.safetensors").unlink()
    assert "consolidated.safetensors" in names(tmp_path)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("{}")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "config.json").symlink_to("../blob")
    assert names(folder) == ["config.json"]


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("lfs-pointers", "Git LFS pointer"),
        ("mistral7b-consolidated", "holds no weights"),
        ("llama8b-compression_config", None),
    ],
)
def test_what_is_not_whole_is_not_served(case: str, named: str | None) -> None:
    problem = folder_problem(CASES / case)
    assert problem is None if named is None else named in (problem or "")


def test_a_pointer_anywhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    pointer = CASES / "lfs-pointers" / "model-00001-of-00004.safetensors"
    shutil.copy(pointer, tmp_path / "tokenizer.json")
    assert "tokenizer.json is a Git LFS pointer" in (folder_problem(tmp_path) or "")
