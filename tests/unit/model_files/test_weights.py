"""Which files hold the weights, and whether they are whole."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.model_files import load_model, tensor_bytes
from rocminfra.model_files.weights import read_weights, whole_weights
from rocminfra.planning.model.reference import REFERENCE_CONFIG
from rocminfra.planning.model.spec import UnknownModelError

INDEX = "model.safetensors.index.json"
MODELS = Path(__file__).parents[1] / "planning" / "models"


def shard(
    path: Path, size: int, kind: str = "BF16", cut: int = 0, header_only: bool = False
) -> None:
    """A safetensors file with one tensor; ``cut`` bytes short of its end."""
    header = {"t": {"dtype": kind, "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    data = b"" if header_only else bytes(size - cut)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def index(folder: Path, *names: str, total: int | None = None) -> None:
    metadata = {} if total is None else {"total_size": total}
    content = {"metadata": metadata, "weight_map": {f"t{i}": name for i, name in enumerate(names)}}
    (folder / INDEX).write_text(json.dumps(content), encoding="utf-8")


def test_only_what_the_index_names_counts(tmp_path: Path) -> None:
    index(tmp_path, "model-1.safetensors", "model-2.safetensors", total=150)
    shard(tmp_path / "model-1.safetensors", 100)
    shard(tmp_path / "model-2.safetensors", 50)
    shard(tmp_path / "consolidated.safetensors", 150)
    shard(tmp_path / "adapter_model.safetensors", 7)
    (tmp_path / "original").mkdir()
    shard(tmp_path / "original" / "model.safetensors", 150)
    assert tensor_bytes(tmp_path) == 150
    assert whole_weights(tmp_path) == read_weights(tmp_path)


def test_a_variant_beside_the_weights_is_not_counted_again(tmp_path: Path) -> None:
    shard(tmp_path / "model.fp16.safetensors", 150, "F16")
    assert tensor_bytes(tmp_path) == 150, "it is all there is"
    shard(tmp_path / "model.safetensors", 150)
    assert tensor_bytes(tmp_path) == 150
    shard(tmp_path / "model.v2.extra.safetensors", 7)
    assert tensor_bytes(tmp_path) == 157, "that is another name"


def test_a_macs_hidden_files_are_no_weights(tmp_path: Path) -> None:
    shard(tmp_path / "model.safetensors", 150)
    (tmp_path / "._model.safetensors").write_bytes(b"\0\5\x16\7" + bytes(4092))
    assert tensor_bytes(tmp_path) == 150
    assert whole_weights(tmp_path) is not None


def test_consolidated_files_are_the_weights_where_nothing_else_is(tmp_path: Path) -> None:
    shard(tmp_path / "consolidated.safetensors", 150)
    assert tensor_bytes(tmp_path) == 150


@pytest.mark.parametrize("cut", [1, 60, 99])
def test_a_file_that_ends_in_a_tensor_was_cut_off(tmp_path: Path, cut: int) -> None:
    shard(tmp_path / "model.safetensors", 100, cut=cut)
    with pytest.raises(
        UnknownModelError, match=r"model\.safetensors has .* not copied or download"
    ):
        tensor_bytes(tmp_path)


def test_a_file_that_goes_on_after_its_tensors_is_none(tmp_path: Path) -> None:
    shard(tmp_path / "model.safetensors", 100, cut=-1)
    with pytest.raises(UnknownModelError, match="its header describes"):
        tensor_bytes(tmp_path)


def test_missing_parts_are_found_by_index_and_by_name(tmp_path: Path) -> None:
    names = [f"model-{number:05d}-of-00004.safetensors" for number in (1, 2, 3, 4)]
    for name in names[:2]:
        shard(tmp_path / name, 100)
    with pytest.raises(UnknownModelError, match=rf"half a download: 2 of its 4.*{names[2]}"):
        tensor_bytes(tmp_path)
    index(tmp_path, *names, total=400)
    with pytest.raises(UnknownModelError, match="half a download: 2 of its 4"):
        tensor_bytes(tmp_path)
    for name in names[:2]:
        (tmp_path / name).unlink()
    # An index alone is enough to plan with, and nothing to serve.
    assert tensor_bytes(tmp_path) == 400
    with pytest.raises(UnknownModelError, match="holds no weights"):
        whole_weights(tmp_path)


def test_headers_alone_are_enough_to_plan_with_and_nothing_to_serve(tmp_path: Path) -> None:
    shard(tmp_path / "model.safetensors", 100, header_only=True)
    assert tensor_bytes(tmp_path) == 100
    with pytest.raises(UnknownModelError, match=r"model\.safetensors is missing, or only a header"):
        whole_weights(tmp_path)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    with pytest.raises(UnknownModelError, match="a link to a file that is not there"):
        tensor_bytes(tmp_path)


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "", "..", 7])
def test_an_index_names_files_of_its_folder(tmp_path: Path, name: Any) -> None:
    content = {"metadata": {}, "weight_map": {"t": name}}
    (tmp_path / INDEX).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UnknownModelError, match="not a file here"):
        tensor_bytes(tmp_path)


@pytest.mark.parametrize("kind", ["F8_E4M3", "I32", "U8"])
def test_tensors_of_a_quantized_type_that_nothing_explains_are_refused(
    tmp_path: Path, kind: str
) -> None:
    config = (MODELS / "llama-3.1-8b-instruct.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    shard(tmp_path / "model.safetensors", 9_000_000_000, kind, header_only=True)
    with pytest.raises(UnknownModelError, match=f"tensors of the type {kind}"):
        load_model(str(tmp_path))


def test_a_few_masks_are_no_quantization(tmp_path: Path) -> None:
    config = (MODELS / "llama-3.1-8b-instruct.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    shard(tmp_path / "model-1.safetensors", 16_060_522_496, header_only=True)
    shard(tmp_path / "model-2.safetensors", 4_096, "U8")
    assert load_model(str(tmp_path)).weights_bytes == 16_060_526_592


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"preprocessor_config.json": {"max_pixels": 1_003_520}}, 1_003_520),
        ({"processor_config.json": {"image_processor": {"max_pixels": 1_003_520}}}, 1_003_520),
        (
            {"processor_config.json": {"image_processor": {"size": {"longest_edge": 602_112}}}},
            602_112,
        ),
        (
            {
                "preprocessor_config.json": {"max_pixels": 1_003_520},
                "processor_config.json": {"image_processor": {"max_pixels": 5_000_000}},
            },
            1_003_520,
        ),
        ({"processor_config.json": {"processor_class": "Qwen2VLProcessor"}}, 12_845_056),
        ({"processor_config.json": {"image_processor": "x"}}, 12_845_056),
    ],
)
def test_an_images_pixels_are_bounded_by_either_file(
    tmp_path: Path, files: dict[str, Any], most: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(REFERENCE_CONFIG), encoding="utf-8")
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    vision = load_model(str(tmp_path)).vision
    assert vision is not None
    assert vision.max_pixels == most


@pytest.mark.parametrize("name", ["model-Q4_K_M.gguf", "UD-Q4_K_XL/model-00001-of-00002.gguf"])
def test_weights_in_gguf_are_not_computed_as_bf16(tmp_path: Path, name: str) -> None:
    config = (MODELS / "llama-3.1-8b-instruct.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(UnknownModelError, match=f"weights are in GGUF .{name}"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("ending", [".aria2", ".incomplete", ".part"])
def test_a_download_that_goes_on_is_half_a_download(tmp_path: Path, ending: str) -> None:
    """Its size says nothing: some make the file as long as it will be at once."""
    shard(tmp_path / "model.safetensors", 100)
    (tmp_path / f"model.safetensors{ending}").write_bytes(b"")
    with pytest.raises(UnknownModelError, match=rf"half a download.*model\.safetensors\{ending}"):
        tensor_bytes(tmp_path)


def with_header(path: Path, text: str, data: int = 200) -> None:
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + bytes(data))


def tensors(*offsets: object) -> str:
    return json.dumps(
        {
            f"t{i}": {"dtype": "BF16", "shape": [1], "data_offsets": at}
            for i, at in enumerate(offsets)
        }
    )


# Siblings of a file that is not whole: headers that describe no file.
@pytest.mark.parametrize(
    ("header", "named"),
    [
        (tensors([0, -4]), "its tensor t0 lies from 0 to -4"),
        (tensors([0, 200.0]), "its tensor t0 lies from 0 to 200.0"),
        (tensors([0, 10**400]), "its tensor t0 lies from 0 to 1000"),
        (tensors([False, 200]), "its tensor t0 lies from False to 200"),
        (tensors([0, 200], [0, 200]), "its tensors overlap or leave gaps"),
        (tensors([100, 200]), "its tensors overlap or leave gaps"),
        (tensors([0]), "not a safetensors file"),
        (tensors("xy"), "not a safetensors file"),
        ("{}", "its header names no tensor"),
        ("[]", "not a safetensors file"),
        ("[" * 100_000, "not a safetensors file"),
    ],
)
def test_a_header_whose_tensors_do_not_fill_the_file(
    tmp_path: Path, header: str, named: str
) -> None:
    with_header(tmp_path / "model.safetensors", header)
    with pytest.raises(UnknownModelError, match=named):
        tensor_bytes(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 4, b"\0" * 1_000, b"<!DOCTYPE html>" * 10])
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UnknownModelError, match=r"model\.safetensors is not a safetensors file"):
        tensor_bytes(tmp_path)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_file_or_none(content: bytes) -> None:
    with TemporaryDirectory() as name:
        (Path(name) / "model.safetensors").write_bytes(content)
        with suppress(UnknownModelError):
            read_weights(Path(name))


@pytest.mark.parametrize("name", ["other.bin", ["x"], {"x": 1}, None, True])
def test_an_index_names_safetensors(tmp_path: Path, name: Any) -> None:
    content = {"metadata": {"total_size": 1}, "weight_map": {"t": name}}
    (tmp_path / INDEX).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UnknownModelError, match="which is not a file here with weights"):
        tensor_bytes(tmp_path)
