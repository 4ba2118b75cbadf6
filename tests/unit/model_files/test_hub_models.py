"""Models that are on the hub only: kilobytes of them, once, and a clear word without the hub."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocminfra.hub.repository import File, HubError, Listing
from rocminfra.model_files import load_model
from rocminfra.model_files.hub_models import cache_folder
from rocminfra.planning.model.spec import UnknownModelError

COMMIT = "1" * 40
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
BYTES = 16_060_522_496


def header(size: int) -> bytes:
    text = json.dumps({"a": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}})
    return struct.pack("<Q", len(text)) + text.encode()


class FakeHub:
    """Has files of a test, and counts what it was asked for."""

    def __init__(self, files: dict[str, bytes], commit: str = COMMIT) -> None:
        self.files, self.commit = files, commit
        self.asked: list[tuple[str, int | None]] = []
        self.listings = 0
        self.error: HubError | None = None

    def listing(self, repository: str, revision: str | None) -> Listing:
        self.listings += 1
        if self.error is not None:
            raise self.error
        files = tuple(File(name, len(content)) for name, content in self.files.items())
        return Listing(repository, self.commit, files)

    def file(self, repository: str, revision: str, path: str, most: int | None = None) -> bytes:
        assert revision == self.commit
        self.asked.append((path, most))
        return self.files[path][:most]


def sharded(**more: bytes) -> FakeHub:
    index = {"metadata": {"total_size": BYTES}, "weight_map": {"a": "model-1-of-1.safetensors"}}
    return FakeHub(
        {
            "config.json": json.dumps(LLAMA).encode(),
            "model.safetensors.index.json": json.dumps(index).encode(),
            "model-1-of-1.safetensors": b"x" * 100,
            "original/consolidated.00.pth": b"x",
            **more,
        }
    )


def load(hub: Any, revision: str | None = None) -> Any:
    return load_model("acme/llama", revision=revision, hub=hub)


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_configuration_and_index_are_enough_and_no_weights_come() -> None:
    hub = sharded()
    spec = load(hub)
    assert (spec.weights_bytes, len(spec.layers)) == (BYTES, 32)
    assert sorted(name for name, _ in hub.asked) == [
        "config.json",
        "model.safetensors.index.json",
    ]


def test_the_processors_file_comes_under_both_names() -> None:
    hub = sharded(**{"processor_config.json": b'{"image_processor": {}}'})
    load(hub)
    folder = next(cache_folder().glob("*/*/config.json")).parent
    assert (folder / "processor_config.json").is_file()


def test_they_are_kept_with_their_revision() -> None:
    hub = sharded()
    load(hub)
    load(hub)
    assert (hub.listings, len(hub.asked)) == (1, 2)
    assert (cache_folder() / "acme--llama" / COMMIT / "config.json").is_file()
    load(hub, "v1.0/rc")  # another name of the same commit
    assert (hub.listings, len(hub.asked)) == (2, 2)
    load(hub, COMMIT)
    assert hub.listings == 2, "a commit is what it is"
    # And for whoever asks no hub, such as the report.
    assert load(None).weights_bytes == BYTES


def test_a_branch_is_asked_again_after_a_day_and_stands_while_the_hub_is_away() -> None:
    load(sharded())
    yesterday = time.time() - 100_000
    os.utime(cache_folder() / "acme--llama" / "refs" / "main", (yesterday, yesterday))
    away = sharded()
    away.error = HubError("unreachable", "https://hub.example does not answer: timed out")
    assert load(away).weights_bytes == BYTES
    moved = FakeHub(sharded().files, "2" * 40)
    load(moved)
    assert (moved.listings, len(moved.asked)) == (1, 2)


def test_a_file_that_stands_alone_gives_its_header_only() -> None:
    content = header(BYTES)
    hub = FakeHub(
        {"config.json": json.dumps(LLAMA).encode(), "model.safetensors": content + b"x" * 5_000}
    )
    assert load(hub).weights_bytes == BYTES
    assert ("model.safetensors", len(content)) in hub.asked
    assert all(most is not None for name, most in hub.asked if name == "model.safetensors")


def test_files_that_tell_of_quantization_come_too() -> None:
    modelopt = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    spec = load(sharded(**{"hf_quant_config.json": json.dumps(modelopt).encode()}))
    assert spec != load_model("acme/plain", hub=sharded())  # type: ignore[arg-type]


@pytest.mark.parametrize("offline", [True, False])
def test_without_the_hub_the_form_that_takes_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    hub = sharded()
    if offline:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    else:
        hub.error = HubError("unreachable", "https://hub.example does not answer: timed out")
    with pytest.raises(UnknownModelError) as error:
        load(hub)
    assert "give a folder that holds its config.json" in str(error.value)
    assert ("HF_HUB_OFFLINE is set" if offline else "does not answer") in str(error.value)
    assert hub.listings == (0 if offline else 1)


@pytest.mark.parametrize(("kind", "words"), [("denied", "(HF_TOKEN)"), ("absent", "no such")])
def test_what_the_hub_refuses_is_said(kind: str, words: str) -> None:
    hub = sharded()
    hub.error = HubError(kind, "no such")
    with pytest.raises(UnknownModelError) as error:
        load(hub)
    assert words in str(error.value)


def test_a_repository_of_gguf_or_without_a_configuration_is_refused() -> None:
    for files, words in (
        ({"config.json": b"{}", "a.Q4.gguf": b""}, "in GGUF"),
        ({"README.md": b""}, "has no config.json"),
        ({"config.json": b"{}", "model.safetensors": b"xy"}, "not a safetensors file"),
    ):
        with pytest.raises(UnknownModelError, match=words):
            load(FakeHub(files))


@pytest.mark.parametrize("name", ["../x", "./a/b", "/a/b", "a/b/c", "model", "a/..", "~/x"])
def test_no_path_is_taken_for_a_repository(name: str) -> None:
    hub = sharded()
    with pytest.raises(UnknownModelError):
        load_model(name, hub=hub)  # type: ignore[arg-type]
    assert hub.listings == 0


def test_a_description_that_was_cut_off_is_fetched_again(tmp_path: Path) -> None:
    hub = sharded()
    failing: Callable[..., bytes] = hub.file

    def cut(repository: str, revision: str, path: str, most: int | None = None) -> bytes:
        if path == "config.json":
            raise HubError("unreachable", "gone")
        return failing(repository, revision, path, most)

    hub.file = cut  # type: ignore[method-assign]
    with pytest.raises(UnknownModelError):
        load(hub)
    hub.file = failing  # type: ignore[method-assign]
    assert load(hub).weights_bytes == BYTES
