"""Paths on the operator's machine: one rule for all of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rocminfra.settings import SettingsError, load_settings
from rocminfra.settings.local_paths import absolute, expanded, repository_or_folder


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("~/models/Qwen2-VL", "/home/me/models/Qwen2-VL"),
        ("~", "/home/me"),
        ("~root/models", f"{os.path.expanduser('~root')}/models"),
        ("./models/Qwen2-VL", "{here}/models/Qwen2-VL"),
        ("../models/Qwen2-VL", "{above}/models/Qwen2-VL"),
        (".", "{here}"),
        ("/srv/models/../toy/", "/srv/toy"),
        ("Qwen/Qwen2-VL-72B-Instruct", "Qwen/Qwen2-VL-72B-Instruct"),
        ("gpt2", "gpt2"),
    ],
)
def test_a_model_is_a_folder_when_it_looks_like_a_path(
    typed: str, meant: str, tmp_path: Path
) -> None:
    meant = meant.format(here=tmp_path, above=tmp_path.parent)
    settings = load_settings({"model.source": typed, "model.planned_as": typed})
    assert (settings.model.source, settings.model.planned_as) == (meant, meant)
    assert settings.model.is_local_folder == meant.startswith("/")
    assert load_settings(settings.model_dump()) == settings
    if settings.model.is_local_folder and meant != str(tmp_path):
        assert settings.model_argument == f"/mnt/models/models/{meant.rsplit('/', 1)[1]}"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("$HOME/models/x", "a repository of the hub"),
        ("models/mine/Qwen2-VL", "a folder is written ./models/mine/Qwen2-VL"),
        ("https://huggingface.co/Qwen/Qwen2-VL-7B", "of its URL only the last two parts"),
        ("C:\\models", "a repository of the hub"),
        ("Qwen/Qwen2 VL", "a repository of the hub"),
        ("~nobody-of-that-name/x", "there is no user nobody-of-that-name on this machine"),
    ],
)
def test_a_source_that_is_neither_is_refused(typed: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"model.source": typed})
    assert words in str(caught.value)
    with pytest.raises(ValueError, match=re.escape(words)):
        repository_or_folder(typed)


def test_every_other_path_knows_the_home_folder(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "bench.results_dir": "~/bench-results",
            "bench.scenario": "~/mine.yaml",
            "huggingface.token_file": "~/.token",
        }
    )
    assert settings.bench.results_dir == "/home/me/bench-results"
    assert settings.bench.scenario == "/home/me/mine.yaml"
    assert settings.huggingface.token_file == "/home/me/.token"
    relative = load_settings({"huggingface.token_file": "token", "bench.results_dir": "./r"})
    assert relative.huggingface.token_file == f"{tmp_path}/token"
    assert Path(relative.bench.results_dir).absolute() == tmp_path / "r"


@pytest.mark.parametrize("key", ["engine.image_archive", "storage.mount_point", "docker.data_root"])
def test_a_path_on_the_host_has_no_home_folder(key: str) -> None:
    with pytest.raises(SettingsError, match="absolute path"):
        load_settings({key: "~/x", "engine.image_source": "archive"})


def test_what_is_no_path_is_refused() -> None:
    for text in ("$HOME/x", "file:///x", "a\nb"):
        with pytest.raises(ValueError, match="must"):
            expanded(text)
    assert absolute("~/../x") == "/home/x"
