"""The lab's cache shares a disk with what is somebody's own, and takes none of that away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rocminfra.failure import FailedError
from rocminfra.lab import base_root, cleaning, removal, requirements
from rocminfra.lab.paths import LabPaths, default_paths

OURS = (
    ".locks/base.lock",
    ".toy-qwen2-vl-a1b2/x",
    "assets/engine-image.tar",
    "base-bookworm-0c986cb4ba32/etc/os-release",
    "base-noble-0c986cb4ba32.building-77/x",
    "debootstrap-debs/a.deb",
    "debs/a.deb",
    "pip/wheel",
    "ssh/id_ed25519",
    "toy-qwen2-vl/config.json",
    "toy-qwen2-vl.key",
    "vm-66a93e32404e/disk",
    "vm-66a93e32404e.building/disk",
)
THEIRS = ("base-jumping/photo.jpg", "base-bookworm-0c986cb4ba3x/x", "vm-mine/x", "notes.txt")


def _fill(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


@pytest.fixture
def clean(paths: LabPaths, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    monkeypatch.setattr(requirements, "check_root", lambda: None)
    monkeypatch.setattr(removal, "clean", lambda *_: removal.Left(()))

    def run() -> list[str]:
        said: list[str] = []
        cleaning.clean(paths, cache=True, say=said.append)
        return said

    return run


def test_a_disk_that_is_named_for_the_cache_gets_a_folder_of_ours() -> None:
    paths = default_paths({"ROCMINFRA_LAB_CACHE": "/bigdisk"})
    assert paths.cache == Path("/bigdisk/rocminfra-lab")


def test_old_base_roots_of_a_release_make_room_and_nothing_else_does(tmp_path: Path) -> None:
    old, killed = "base-bookworm-0c986cb4ba32", "base-bookworm-0c986cb4ba32.building-77"
    _fill(tmp_path, (*OURS, *THEIRS, f"{killed}/x"))
    in_use = tmp_path / "base-bookworm-111111111111"
    in_use.mkdir()
    link = tmp_path / "base-bookworm-222222222222"
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere")
    base_root.remove_old(tmp_path, {str(in_use)}, "bookworm")
    left = {path.name for path in tmp_path.iterdir()}
    names = {name.split("/")[0] for name in (*OURS, *THEIRS)} - {old, killed}
    assert "base-noble-0c986cb4ba32.building-77" in names, "of another release"
    assert left == names | {in_use.name, link.name, "elsewhere"}


def test_cleaning_takes_the_cache_away(paths: LabPaths, clean: Callable[[], list[str]]) -> None:
    _fill(paths.cache, OURS)
    assert any("removing the cache" in line for line in clean())
    assert not paths.cache.exists()


def test_cleaning_leaves_what_is_not_the_labs_and_says_so(
    paths: LabPaths, clean: Callable[[], list[str]]
) -> None:
    _fill(paths.cache, (*OURS, *THEIRS))
    said = clean()
    assert {path.name for path in paths.cache.iterdir()} == {name.split("/")[0] for name in THEIRS}
    assert any("not the lab's" in line and "notes.txt" in line for line in said)


def test_cleaning_follows_no_link(
    paths: LabPaths, clean: Callable[[], list[str]], tmp_path: Path
) -> None:
    _fill(tmp_path / "elsewhere", ("a.deb",))
    paths.cache.mkdir()
    (paths.cache / "debs").symlink_to(tmp_path / "elsewhere")
    clean()
    assert (tmp_path / "elsewhere" / "a.deb").exists()
    assert not paths.cache.exists()


def test_cleaning_refuses_what_something_is_mounted_in(
    paths: LabPaths, clean: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(paths.cache, OURS)
    place = f"{paths.cache}/debs"
    monkeypatch.setattr(cleaning.removal, "mounts_below", lambda folder: (place, str(folder)))
    with pytest.raises(FailedError, match="mounted") as caught:
        clean()
    assert place in caught.value.failure.why
    assert str(paths.cache) not in caught.value.failure.why
    assert (paths.cache / "debs" / "a.deb").exists()
