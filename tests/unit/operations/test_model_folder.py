"""A model's folder: copied whole, verified on the host, copied again only where it differs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts.model_folder import CopiedFile, Folder, ModelFolder
from rocminfra.failure import ExitCode
from rocminfra.operations import model_folder

TO = "/mnt/models/models/toy"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def as_copied(source: Path) -> Folder:
    files = []
    for path in sorted(item for item in source.rglob("*") if item.is_file()):
        status, text = path.stat(), path.read_bytes()
        name = path.relative_to(source).as_posix()
        files.append(
            CopiedFile(name, status.st_size, status.st_mtime_ns, hashlib.sha256(text).hexdigest())
        )
    return Folder(tuple((file.path, file.size) for file in files), tuple(files))


def copy(run: Callable[..., Any], source: Path) -> list[str]:
    return run(model_folder.copied, source=str(source), destination=TO).shell


def test_everything_is_copied_and_verified_and_the_manifest_comes_last(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[ModelFolder] = Folder()
    shell = copy(run, source)
    puts = [command for command in shell if command.startswith("put")]
    assert puts == [
        f"put {TO}/config.json.rocminfra-new",
        f"put {TO}/sub/model.safetensors.rocminfra-new",
        f"put {TO}/.rocminfra-model.rocminfra-new",
    ]
    digest = hashlib.sha256(b"weights").hexdigest()
    assert any(digest in command and "sha256sum --check" in command for command in shell)


def test_nothing_is_copied_twice(source: Path, scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[ModelFolder] = as_copied(source)
    assert copy(run, source) == []


def test_same_bytes_with_another_time_are_the_same(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[ModelFolder] = as_copied(source)
    os.utime(source / "config.json", (1, 1))
    assert copy(run, source) == []


def test_a_change_of_the_same_size_is_found(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[ModelFolder] = as_copied(source)
    (source / "config.json").write_text("[]")
    assert f"put {TO}/config.json.rocminfra-new" in copy(run, source)


def test_a_large_file_is_not_hashed_again_while_size_and_time_are_the_same(
    source: Path, scripted: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "ALWAYS_HASH_BYTES", 3)
    scripted.facts[ModelFolder] = as_copied(source)
    hashed: list[Path] = []
    monkeypatch.setattr(model_folder, "_sha256", lambda path: hashed.append(path) or "0")
    copy(run, source)
    assert [path.name for path in hashed] == ["config.json"]


def test_a_file_cut_short_on_the_host_is_copied_again(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    there = as_copied(source)
    scripted.facts[ModelFolder] = Folder((("config.json", 1), there.sizes[1]), there.copied)
    assert f"put {TO}/config.json.rocminfra-new" in copy(run, source)


def test_a_file_that_left_the_source_leaves_the_host(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[ModelFolder] = as_copied(source)
    (source / "sub" / "model.safetensors").rename(source / "sub" / "weights.safetensors")
    shell = copy(run, source)
    assert f"rm -f {TO}/sub/model.safetensors" in shell


def test_an_engine_that_needs_no_weights_is_given_none(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    (source / "sub" / "model.safetensors").unlink()
    scripted.facts[ModelFolder] = Folder()
    assert copy(run, source) == []
    shell = run(model_folder.copied, source=str(source), destination=TO, needs_weights=False).shell
    assert f"put {TO}/config.json.rocminfra-new" in shell


def test_a_file_that_we_never_copied_is_not_ours_to_remove(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    there = as_copied(source)
    scripted.facts[ModelFolder] = Folder((*there.sizes, ("notes.txt", 5)), there.copied)
    assert copy(run, source) == []


def test_a_folder_without_config_is_not_a_model(
    tmp_path: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    outcome = run(model_folder.copied, source=str(tmp_path), destination=TO)
    assert outcome.failure.kind is ExitCode.SETTINGS
    assert scripted.asked == []


def test_a_copy_that_was_cut_off_before_its_manifest_goes_on(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    sizes = (("config.json", 2), ("sub/model.safetensors.rocminfra-new", 3))
    scripted.facts[ModelFolder] = Folder(sizes)
    assert f"put {TO}/sub/model.safetensors.rocminfra-new" in copy(run, source)


def test_somebody_elses_model_is_not_replaced(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[ModelFolder] = Folder((("config.json", 99), ("tuned.safetensors", 5)))
    outcome = run(model_folder.copied, source=str(source), destination=TO)
    assert outcome.shell == []
    assert outcome.failure.kind is ExitCode.REFUSED
    assert outcome.failure.why == ("config.json", "tuned.safetensors")


def test_only_what_is_in_the_folder_is_removed_from_it(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    there = as_copied(source)
    planted = CopiedFile("linked/precious", 5, 1, "0" * 64)
    scripted.facts[ModelFolder] = Folder(there.sizes, (*there.copied, planted))
    assert not any(command.startswith("rm") for command in copy(run, source))


@pytest.mark.parametrize("case", ["lfs-pointers", "mistral7b-consolidated"])
def test_what_is_not_whole_is_refused_before_any_change(
    case: str, scripted: Any, run: Callable[..., Any]
) -> None:
    folder = Path(__file__).parents[1] / "model_files" / "cases" / case
    outcome = run(model_folder.copied, source=str(folder), destination=TO)
    assert outcome.shell == []
    assert outcome.failure.kind is ExitCode.SETTINGS
    assert "is not whole" in outcome.failure.what
    assert "model-00001-of-0000" in outcome.failure.why[0]
    assert scripted.asked == []


def test_a_checkouts_own_files_stay_behind_and_leave_the_host(
    source: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    (source / ".git").mkdir()
    (source / ".git" / "HEAD").write_text("ref: refs/heads/main")
    scripted.facts[ModelFolder] = Folder()
    assert not any(".git" in command for command in copy(run, source))
    scripted.facts[ModelFolder] = as_copied(source)
    assert f"rm -f {TO}/.git/HEAD" in copy(run, source)
