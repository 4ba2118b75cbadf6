"""Laying the playbook out: everything or nothing, and never over somebody's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocminfra.playbook_files import PARTS, FilesInTheWay, lay_out, packaged_root, playbook_root

ROOT = Path(__file__).parents[2]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "inventory").mkdir(parents=True)
    for part in ("tasks", "templates", "benchmarks", "tasks/__pycache__"):
        (folder / part).mkdir()
    (folder / "deploy.py").write_text("deploy")
    (folder / "tasks" / "a.py").write_text("a")
    (folder / "tasks" / "__pycache__" / "a.pyc").write_text("x")
    (folder / "inventory" / "hosts.yaml").write_text("somebody's own hosts")
    (folder / "inventory" / "hosts.example.yaml").write_text("example")
    (folder / "notes.txt").write_text("not part of the playbook")
    return folder


def test_the_playbook_is_copied_without_caches_and_own_hosts(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    laid_out = lay_out(target, source)
    assert set(tree(target)) == {
        ".gitignore",
        "deploy.py",
        "tasks/a.py",
        "inventory/hosts.example.yaml",
    }
    assert [str(file) for file in laid_out.files] == sorted(tree(target))


def test_files_in_the_way_are_named_and_nothing_is_written(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "tasks").mkdir(parents=True)
    (target / "tasks" / "a.py").write_text("mine")
    with pytest.raises(FilesInTheWay) as caught:
        lay_out(target, source)
    assert caught.value.files == (target / "tasks" / "a.py",)
    assert tree(target) == {"tasks/a.py": b"mine"}


def test_a_file_where_a_folder_should_be_is_in_the_way(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "tasks").write_text("a file")
    with pytest.raises(FilesInTheWay):
        lay_out(target, source)
    assert tree(target) == {"tasks": b"a file"}
    with pytest.raises(FilesInTheWay):
        lay_out(target / "tasks", source)


def test_other_files_in_the_folder_do_not_matter(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "README.md").write_text("mine")
    lay_out(target, source)
    assert tree(target)["README.md"] == b"mine"


def test_a_folder_of_the_users_own_counts_before_the_shipped_files(tmp_path: Path) -> None:
    assert playbook_root(tmp_path) == packaged_root()
    lay_out(tmp_path / "own")
    assert playbook_root(tmp_path / "own") == tmp_path / "own"


def test_a_folder_with_only_some_parts_is_not_a_playbook(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text("somebody else's")
    assert playbook_root(tmp_path) != tmp_path


def test_the_checkout_has_every_part() -> None:
    assert playbook_root(ROOT) == ROOT
    assert all((ROOT / part).exists() for part in PARTS)
