"""What was there before, written once; what an apply left, written after each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.sent import host_record, run_lock


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A request about files below a folder that stands for the host's root."""
    monkeypatch.setattr(host_record, "installed", lambda: ["bash", "docker-cli"])
    monkeypatch.setattr(host_record, "FSTAB", str(tmp_path / "fstab"))
    names = [str(tmp_path / name) for name in ("theirs", "ours")]
    return {
        "paths": names,
        "files": names,
        "trees": [str(tmp_path / "tree")],
        "mount_point": str(tmp_path / "models"),
        "data_root": str(tmp_path / "models/docker"),
        "container": "engine",
        "image": "image",
        "setting": "kernel.no_such_setting",
        "state": str(tmp_path / "state"),
        "runs": str(tmp_path / "state/runs"),
        "units": ["rocminfra-bench-*"],
    }


def test_before_is_written_once_and_never_again(asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "state" / "record.json"
    (tmp_path / "theirs").write_text("x")
    assert host_record.begin(file, asked) == {"begun": True}
    (tmp_path / "ours").write_text("y")
    assert host_record.begin(file, asked) == {"begun": False}
    before = host_record.read(file)["before"]
    assert before["paths"] == [str(tmp_path / "theirs")]
    assert (before["docker"], before["fstab"], before["mount"]) == (True, False, False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["record.json"]


def test_an_update_keeps_before_and_notes_what_is_there(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "state" / "record.json"
    assert host_record.update(file, asked) == {"updated": False}
    host_record.begin(file, asked)
    before = host_record.read(file)["before"]
    (tmp_path / "ours").write_text("y")
    line = f"UUID=1 {tmp_path}/models xfs nofail 0 0"
    (tmp_path / "fstab").write_text(f"# {line}\n{line}\nUUID=2 / ext4 defaults 0 1\n")
    assert host_record.update(file, asked) == {"updated": True}
    record = host_record.read(file)
    assert record["before"] == before
    assert record["files"] == {str(tmp_path / "ours"): hashlib.sha256(b"y").hexdigest()}
    assert record["fstab_line"] == line
    assert record["container"] == "engine"


def test_two_lines_of_fstab_are_none_of_ours(asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "state" / "record.json"
    host_record.begin(file, asked)
    (tmp_path / "fstab").write_text(f"a {tmp_path}/models xfs\nb {tmp_path}/models/ xfs\n")
    host_record.update(file, asked)
    assert host_record.read(file)["fstab_line"] is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}'])
def test_a_damaged_record_is_an_error_and_no_empty_one(text: str, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        host_record.read(file)


def test_a_link_is_no_file_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        (tmp_path / f"link-{name}").symlink_to(tmp_path / name)
    paths = [str(path) for path in tmp_path.iterdir()]
    assert set(host_record.hashes(paths)) == {str(tmp_path / "file")}
    assert [path for path in paths if host_record.is_plain_folder(path)] == [
        str(tmp_path / "folder")
    ]


def test_what_cannot_be_listed_counts_as_content(tmp_path: Path) -> None:
    assert host_record.has_content(str(tmp_path)) is False
    assert host_record.has_content(str(tmp_path / "none")) is False
    (tmp_path / "file").write_text("")
    assert host_record.has_content(str(tmp_path)) is True
    assert host_record.has_content(str(tmp_path / "file")) is True, "no folder at all"


@pytest.mark.parametrize(
    ("tool", "ask"),
    [
        ("systemctl", lambda: host_record.at_work(["rocminfra-bench-*"])),
        ("dpkg-query", host_record.installed),
    ],
)
def test_a_question_without_an_answer_is_an_error(
    tool: str, ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=f"^{tool} .* failed$"):
        ask()


def test_a_docker_that_does_not_answer_is_not_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert host_record.docker("ps") is None
    program.write_text("#!/bin/sh\necho b; echo a\n")
    assert host_record.docker("ps") == ["a", "b"]
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert host_record.docker("ps") is None


def test_the_record_is_plain_json(asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "state" / "record.json"
    host_record.begin(file, asked)
    assert json.loads(file.read_text())["version"] == 1


def test_a_docker_that_came_outside_our_runs_is_somebodys(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "record.json"
    monkeypatch.setattr(host_record, "has_docker", lambda: False)
    host_record.begin(file, asked)
    host_record.update(file, asked)
    assert run_lock.is_recorded(file, has_docker=False)
    # Somebody installs it before the next run.
    monkeypatch.setattr(host_record, "has_docker", lambda: True)
    assert not run_lock.is_recorded(file, has_docker=True)
    host_record.begin(file, asked)
    host_record.update(file, asked)
    record = host_record.read(file)
    assert (record["before"]["docker"], record["docker_by_us"]) == (True, False)
    assert run_lock.is_recorded(file, has_docker=True)


def test_a_docker_that_a_run_of_ours_installed_is_ours(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "record.json"
    monkeypatch.setattr(host_record, "has_docker", lambda: False)
    host_record.begin(file, asked)
    monkeypatch.setattr(host_record, "has_docker", lambda: True)
    host_record.update(file, asked)
    for _ in range(2):
        assert run_lock.is_recorded(file, has_docker=True)
        host_record.begin(file, asked)
    record = host_record.read(file)
    assert (record["before"]["docker"], record["docker_by_us"]) == (False, True)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}"])
def test_what_is_no_record_is_to_be_begun(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    if text is not None:
        file.write_text(text)
    assert not run_lock.is_recorded(file, has_docker=True)
