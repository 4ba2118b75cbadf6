"""`rocminfra capacity`: answers without a GPU, JSON as published, refusals with exit codes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from schema_check import violations

from rocminfra.model_files import load_model, tensor_bytes
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.runner.cli import run

MODELS = Path(__file__).parents[2] / "planning" / "models"


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["capacity", "--json", *arguments])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert violations(document, "capacity") == []
    assert document["code"] == code
    return code, document


def test_without_arguments_it_answers_for_the_reference_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, found = asked(capsys)
    assert code == 0
    assert found["weights_bytes"] == 146_811_120_640
    assert found["kv_bytes_per_token"] == 327_680
    assert found["kv_cache_tokens"] == 105_440
    assert found["kv_blocks"] == 6_590
    assert found["itl_floor_ms"] == 27.7
    assert found["fits"] is True
    assert found["overhead"]["is_calibrated_input"] is True
    assert [row["count"] for row in found["tensor_parallel"]] == [1, 2, 4, 8]
    assert found["pages"]["image_tokens"] == 4_819
    assert found["pages"]["docvqa_streams_fit"] == 20
    lefts = [(one["nominal_left_gb"], one["fits"]) for one in found["alternatives"]]
    assert lefts == [(13.19, False), (13.19, False)]


def test_capped_pages(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = asked(capsys, "--max-pixels", "1003520")
    assert found["pages"]["image_tokens"] == 1_240
    assert found["pages"]["streams_fit"] == 64
    assert found["overhead"]["is_calibrated_input"] is False


def test_what_does_not_fit_ends_with_6_and_remedies(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = asked(capsys, "--gpu", "a100-80", "--count", "2")
    assert (code, found["fits"]) == (6, False)
    assert found["headroom_bytes_per_gpu"] < 0
    assert any("4 x NVIDIA A100" in one["words"] for one in found["remedies"])


def test_a_hybrid_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(MODELS / "qwen3-next-80b-a3b-instruct.json")
    code, found = asked(capsys, "--model", path)
    assert code == 3
    assert "qwen3_next" in found["error"]["what"]
    assert "kv_cache_tokens" not in found


@pytest.mark.parametrize(
    "arguments",
    [
        ("--page", "letter"),
        ("--page", "0x10"),
        ("--page", "9" * 400 + "x" + "9" * 400),
        ("--page", "9" * 5_000 + "x1"),
        ("--max-pixels", "12845057"),
        ("--max-num-batched-tokens", "32"),
        ("--utilization", "1.5"),
        ("--model", "nobody/nothing"),
    ],
)
def test_what_cannot_be_used_ends_with_3(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]
) -> None:
    code, found = asked(capsys, *arguments)
    assert code == 3
    assert found["error"]["what"]


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "-1"])
def test_an_overhead_that_is_no_amount_ends_with_3(
    capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert run(["capacity", "--overhead-gib", value]) == 3
    assert "--overhead-gib" in capsys.readouterr().err


def test_people_get_a_table_and_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["capacity"]) == 0
    out = capsys.readouterr().out
    for words in ("136.73 GiB", "105,440 tokens", "[####", "13.2 GB nominal", "20 of 64"):
        assert words in out


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.json")), ids=lambda path: path.stem)
def test_every_public_model_is_answered_or_refused(
    capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    code, _ = asked(capsys, "--model", str(path))
    # A hybrid, and a quantized model without its files.
    refused = path.stem in ("qwen3-next-80b-a3b-instruct", "deepseek-v3")
    assert code == (3 if refused else 0)


def safetensors(path: Path, sizes: dict[str, int]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, size in sizes.items():
        end = offset + size
        header[name] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


def test_weights_come_from_index_or_headers(tmp_path: Path) -> None:
    source = (MODELS / "qwen2-7b-instruct.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(source, encoding="utf-8")
    assert tensor_bytes(tmp_path) is None
    assert load_model(str(tmp_path)).weights_basis == "computed"
    safetensors(tmp_path / "model-1.safetensors", {"a": 64, "b": 36})
    safetensors(tmp_path / "model-2.safetensors", {"c": 100})
    assert tensor_bytes(tmp_path) == 200
    index = {"metadata": {"total_size": 15_231_233_024}, "weight_map": {}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    found = load_model(str(tmp_path))
    assert (found.weights_bytes, found.weights_basis) == (15_231_233_024, "safetensors")


def test_a_cached_repository_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "hub" / "models--meta--llama" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    source = (MODELS / "llama-3.1-8b-instruct.json").read_text(encoding="utf-8")
    (snapshot / "config.json").write_text(source, encoding="utf-8")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert load_model("meta/llama").parameters == 8_030_261_248


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 1 << 40), b"\0" * 64])
def test_broken_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UnknownModelError, match=r"model\.safetensors"):
        tensor_bytes(tmp_path)


@pytest.mark.parametrize("size", ["1e999", "true", "-5", "NaN", '"15231233024"', "[1]", "1e300"])
def test_an_index_with_a_size_that_is_none_is_named(tmp_path: Path, size: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(f'{{"metadata": {{"total_size": {size}}}}}', encoding="utf-8")
    with pytest.raises(UnknownModelError, match=r"index\.json.*not a size"):
        tensor_bytes(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"metadata": null}', '{"metadata": {}}'])
def test_an_index_without_a_size_leaves_it_to_the_headers(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    assert tensor_bytes(tmp_path) is None
    safetensors(tmp_path / "model-1.safetensors", {"a": 64})
    assert tensor_bytes(tmp_path) == 64


def test_half_a_download_is_no_small_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (MODELS / "qwen2-7b-instruct.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(source, encoding="utf-8")
    safetensors(tmp_path / "model-1.safetensors", {"a": 64})
    code, found = asked(capsys, "--model", str(tmp_path))
    assert code == 3
    assert "files are missing" in found["error"]["what"]


def test_weights_that_are_named_as_the_configuration_are_not_read(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    with weights.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UnknownModelError, match="is not a configuration"):
        load_model(str(weights))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_broken_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UnknownModelError, match=r"config\.json"):
        load_model(str(tmp_path))
