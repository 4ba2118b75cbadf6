"""The hub's cache, by its own rules."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rocminfra.model_files import load_model
from rocminfra.model_files.hub_cache import cache_folder, cached_snapshot
from rocminfra.planning.model.spec import UnknownModelError

MODELS = Path(__file__).parents[1] / "planning" / "models"
REPOSITORY = "somebody/llama"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def snapshot(hub: Path, commit: str, layers: int = 32, **refs: str) -> Path:
    """A snapshot whose files are links to blobs, as the client makes them."""
    repository = hub / "models--somebody--llama"
    config = json.loads((MODELS / "llama-3.1-8b-instruct.json").read_text(encoding="utf-8"))
    for folder in ("blobs", "refs", f"snapshots/{commit}"):
        (repository / folder).mkdir(parents=True, exist_ok=True)
    blob = repository / "blobs" / f"{commit}-config"
    blob.write_text(json.dumps({**config, "num_hidden_layers": layers}), encoding="utf-8")
    path = repository / "snapshots" / commit
    (path / "config.json").symlink_to(os.path.relpath(blob, path))
    for name, ref in refs.items():
        (repository / "refs" / name).write_text(ref, encoding="utf-8")
    return path


def test_refs_main_says_which_snapshot_is_meant(hub: Path) -> None:
    wanted = snapshot(hub, "aaa", 32, main="aaa")
    newer = snapshot(hub, "bbb", 16)
    os.utime(newer, (2_000_000_000, 2_000_000_000))
    assert cached_snapshot(REPOSITORY) == wanted
    assert len(load_model(REPOSITORY).layers) == 32


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Path) -> None:
    snapshot(hub, "aaa", 32, main="aaa", v1="bbb")
    tagged = snapshot(hub, "bbb", 16)
    assert cached_snapshot(REPOSITORY, "v1") == tagged
    assert cached_snapshot(REPOSITORY, "bbb") == tagged
    assert len(load_model(REPOSITORY, revision="v1").layers) == 16
    assert cached_snapshot(REPOSITORY, "v2") is None
    assert cached_snapshot(REPOSITORY, "../snapshots/aaa") is None


def test_main_that_was_removed_is_not_replaced_by_another(hub: Path) -> None:
    snapshot(hub, "aaa", 32, main="ccc")
    assert cached_snapshot(REPOSITORY) is None
    with pytest.raises(UnknownModelError, match="there is no model somebody/llama"):
        load_model(REPOSITORY)


def test_without_main_one_snapshot_is_clear_and_two_are_not(hub: Path) -> None:
    only = snapshot(hub, "aaa")
    assert cached_snapshot(REPOSITORY) == only
    snapshot(hub, "bbb")
    with pytest.raises(UnknownModelError, match=r"2 snapshots and no refs/main"):
        load_model(REPOSITORY)


def test_the_cache_is_where_the_client_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == tmp_path / "hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "hub"
    monkeypatch.delenv("HF_HUB_CACHE")
    assert cache_folder() == tmp_path / "home" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "huggingface" / "hub"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "huggingface" / "hub"


def test_blobs_that_were_removed_are_found(hub: Path) -> None:
    path = snapshot(hub, "aaa", main="aaa")
    (path / "model.safetensors").symlink_to("../../blobs/gone")
    with pytest.raises(UnknownModelError, match="a link to a file that is not there"):
        load_model(REPOSITORY)


@pytest.mark.parametrize("name", ["../../etc", "/etc", "a/b/c", "./model"])
def test_what_is_no_repository_is_not_looked_for(name: str) -> None:
    assert cached_snapshot(name) is None
