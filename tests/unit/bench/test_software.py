"""Which rocminfra, and with which settings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocminfra import __version__
from rocminfra.bench import software as module
from rocminfra.bench.software import software
from rocminfra.settings import load_settings


def test_the_settings_hash_changes_with_a_setting_and_with_nothing_else() -> None:
    first, same = (software(load_settings({})) for _ in range(2))
    assert first == same
    assert first["version"] == __version__
    other = software(load_settings({"vllm.max_num_seqs": 32}))
    assert other["settings_sha256"] != first["settings_sha256"]


def test_a_checkouts_commit_and_whether_it_has_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHECKOUT", tmp_path)
    assert software(load_settings({}))["commit"] is None, "installed as a package"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    (tmp_path / "file").write_text("1")
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "m"]):
        subprocess.run([*git, *words], check=True)
    commit = software(load_settings({}))["commit"]
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "file").write_text("2")
    assert software(load_settings({}))["commit"] == f"{commit}+changes"


def test_a_repository_that_git_cannot_read_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHECKOUT", tmp_path)
    (tmp_path / ".git").mkdir()
    assert software(load_settings({}))["commit"] is None
