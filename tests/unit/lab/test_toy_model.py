"""The toy model's folder."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tokenizers import Tokenizer

from rocminfra.lab import toy_model


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_comes_out_the_same_every_time_and_replaces_what_was_there(tmp_path: Path) -> None:
    first = files(toy_model.build(tmp_path / "one"))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "left-over").write_text("x")
    assert files(toy_model.build(tmp_path / "two")) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    assert sum(map(len, first.values())) < 300_000


def test_it_is_shaped_like_qwen2_vl_and_says_that_it_is_a_toy(tmp_path: Path) -> None:
    folder = toy_model.build(tmp_path / "toy")
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["Qwen2VLForConditionalGeneration"]
    assert config["max_position_embeddings"] == 32_768
    assert "toy" in config["_rocminfra"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert config["vocab_size"] == tokenizer.get_vocab_size()
    assert tokenizer.id_to_token(config["image_token_id"]) == "<|image_pad|>"


def test_any_text_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = toy_model.build(tmp_path / "toy")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ("hello  world\n", "Größe: 3 µm → 日本", "\x00\x7f"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_chat_template_costs_nineteen_tokens_as_qwens_does(tmp_path: Path) -> None:
    """8,211 measured for 8,192 asked in the reference run."""
    folder = toy_model.build(tmp_path / "toy")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"
    )
    assert len(tokenizer.encode(text).ids) == 19


def test_the_weights_are_a_safetensors_file(tmp_path: Path) -> None:
    data = (toy_model.build(tmp_path / "toy") / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    assert max(ends) == len(data) - 8 - length
