"""A folder that is about to be served."""

from __future__ import annotations

import json
import shutil
import zipfile
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
        ("llama8b-compression_config", "holds no weights: neither *.safetensors nor *.bin"),
    ],
)
def test_what_is_not_whole_is_not_served(case: str, named: str) -> None:
    problem = folder_problem(CASES / case)
    assert named in (problem or "")


def test_a_pointer_anywhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    pointer = CASES / "lfs-pointers" / "model-00001-of-00004.safetensors"
    shutil.copy(pointer, tmp_path / "tokenizer.json")
    assert "tokenizer.json is a Git LFS pointer" in (folder_problem(tmp_path) or "")


def archive(path: Path, cut: int = 0) -> None:
    """A file as torch.save writes it; ``cut`` bytes short of its end."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", "x" * 100)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])


PARTS = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
PICKLE_INDEX = "pytorch_model.bin.index.json"


# Siblings of half a download: weights in PyTorch's own format.
def test_weights_of_the_older_format_are_whole_or_not_served(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    archive(tmp_path / PARTS[0])
    assert f"1 of its 2 files with weights are missing ({PARTS[1]})" in said(tmp_path)
    (tmp_path / PICKLE_INDEX).write_text(json.dumps({"weight_map": dict(zip("ab", PARTS))}))  # noqa: B905
    assert f"1 of its 2 files with weights are missing ({PARTS[1]})" in said(tmp_path)
    archive(tmp_path / PARTS[1], cut=30)
    assert f"{PARTS[1]} was not copied or downloaded to its end" in said(tmp_path)
    archive(tmp_path / PARTS[1])
    assert folder_problem(tmp_path) is None
    (tmp_path / PARTS[0]).write_bytes(b"")
    assert f"{PARTS[0]} was not copied or downloaded to its end" in said(tmp_path)
    (tmp_path / PARTS[0]).write_bytes(b"<!DOCTYPE html>")
    assert f"{PARTS[0]} is not a file of PyTorch's" in said(tmp_path)
    (tmp_path / PARTS[0]).write_bytes(b"\x80\x02}q\x00.")  # before PyTorch 1.6
    assert folder_problem(tmp_path) is None
    (tmp_path / PICKLE_INDEX).write_text(json.dumps({"weight_map": {"a": ["x"]}}))
    assert "names ['x'], which is not a file here" in said(tmp_path)


def test_a_link_to_nothing_is_named_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    archive(tmp_path / "pytorch_model.bin")
    (tmp_path / "tokenizer.json").symlink_to("../../blobs/0123")
    assert "tokenizer.json is a link to a file that is not there" in said(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "loop").symlink_to("loop")
    assert "loop is a link to a file that is not there" in said(tmp_path)


def test_a_configuration_alone_is_served_to_an_engine_that_needs_no_more(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert "holds no weights" in said(tmp_path)
    assert folder_problem(tmp_path, needs_weights=False) is None


def said(folder: Path) -> str:
    return folder_problem(folder) or ""
