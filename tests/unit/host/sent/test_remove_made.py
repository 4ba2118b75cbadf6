"""Each step looks again before it acts, and leaves everything else alone."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.host.programs import source
from rocminfra.host.sent import remove_made
from rocminfra.host.sent.remove_made import StepError

LINE = "UUID=1 /mnt/models xfs nofail 0 0"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_is_as_planned_goes_with_its_empty_folder(tmp_path: Path) -> None:
    path = tmp_path / "docker.service.d" / "50.conf"
    path.parent.mkdir()
    path.write_text("ours")
    remove_made.file(str(path), digest(path), folder=True)
    assert not path.parent.exists()
    remove_made.file(str(path), "", folder=True)  # gone already


@pytest.mark.parametrize("folder", [False, True])
def test_a_folder_stays_that_is_not_ours_or_holds_more(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "x.d" / "50.conf"
    path.parent.mkdir()
    path.write_text("ours")
    if folder:
        (path.parent / "theirs.conf").write_text("")
    remove_made.file(str(path), digest(path), folder=folder)
    assert path.parent.is_dir()
    assert not path.exists()


def test_a_file_that_has_changed_stays(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("planned")
    planned = digest(path)
    path.write_text("changed since")
    with pytest.raises(StepError, match="has changed since the plan"):
        remove_made.file(str(path), planned, folder=True)
    assert path.read_text() == "changed since"


def test_only_a_user_with_the_home_of_ours_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(remove_made, "_command", lambda *words: ran.append(words))
    remove_made.user("rocminfra-nobody", "/run/x")
    with pytest.raises(StepError, match="another home folder"):
        remove_made.user("daemon", "/run/rocminfra-load")
    assert ran == []
    home = pwd.getpwnam("daemon").pw_dir
    remove_made.user("daemon", home)
    assert ran == [("userdel", "--", "daemon")]


def test_a_link_is_no_file_of_ours(tmp_path: Path) -> None:
    target, link = tmp_path / "theirs", tmp_path / "ours"
    target.write_text("x")
    link.symlink_to(target)
    with pytest.raises(StepError, match="no plain file"):
        remove_made.file(str(link), digest(target), folder=False)
    assert target.exists()
    assert link.is_symlink()


def test_a_tree_goes_without_what_its_links_lead_to(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "data").write_text("x")
    ours = tmp_path / "ours"
    (ours / "below").mkdir(parents=True)
    (ours / "link").symlink_to(theirs)
    (ours / "below" / "file").write_text("x")
    remove_made.tree(str(ours), [])
    assert not ours.exists()
    assert (theirs / "data").read_text() == "x"
    remove_made.tree(str(ours), [])  # gone already


def test_of_a_tree_some_may_stay(tmp_path: Path) -> None:
    for name in ("guard.py", "other.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    remove_made.tree(str(tmp_path), [f"{tmp_path}/guard.py"])
    assert [path.name for path in tmp_path.iterdir()] == ["guard.py"]


def test_a_tree_that_became_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    with pytest.raises(StepError, match="no plain folder"):
        remove_made.tree(str(tmp_path / "ours"), [])
    assert (tmp_path / "theirs").is_dir()


_other_lines = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30).filter(
    lambda text: text != LINE
)


@given(st.lists(_other_lines), st.lists(_other_lines))
def test_only_its_line_goes_from_fstab(before: list[str], after: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fstab"
        path.write_bytes("".join(f"{line}\n" for line in (*before, LINE, *after)).encode())
        remove_made.fstab(LINE, str(path))
        kept = "".join(f"{line}\n" for line in (*before, *after))
        assert path.read_bytes() == kept.encode()


def test_fstab_keeps_mode_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "fstab"
    path.write_bytes(b"# caf\xe9\r\n" + LINE.encode() + b"\nlast without newline")
    path.chmod(0o640)
    remove_made.fstab(LINE, str(path))
    assert path.read_bytes() == b"# caf\xe9\r\nlast without newline"
    assert path.stat().st_mode & 0o777 == 0o640
    remove_made.fstab(LINE, str(path))  # gone already


def test_a_line_that_is_there_twice_is_nobodys_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "fstab"
    path.write_text(f"{LINE}\n{LINE}\n")
    with pytest.raises(StepError, match="more than once"):
        remove_made.fstab(LINE, str(path))
    assert path.read_text() == f"{LINE}\n{LINE}\n"


def test_a_mount_point_goes_only_empty(tmp_path: Path) -> None:
    place = tmp_path / "models"
    place.mkdir(mode=0o555)
    remove_made.mount_point(str(place))
    assert not place.exists()
    place.mkdir()
    (place / "file").write_text("")
    with pytest.raises(StepError, match="holds files below the mount"):
        remove_made.mount_point(str(place))
    assert (place / "file").exists()


def test_state_may_keep_its_runs(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "runs" / "1").mkdir(parents=True)
    (state / "lock").write_text("")
    remove_made.state(str(state), keep_runs=True)
    assert [path.name for path in state.iterdir()] == ["runs"]
    remove_made.state(str(state), keep_runs=False)
    assert not state.exists()


def test_who_uses_a_folder_is_named(tmp_path: Path) -> None:
    assert remove_made.users(str(tmp_path)) == []
    user = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    try:
        assert remove_made.users(str(tmp_path)) == [f"sleep ({user.pid})"]
    finally:
        user.kill()
        user.wait()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for apt-get and systemctl; apt would remove what APT_WOULD says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    apt = 'case "$*" in *simulate*) for p in $APT_WOULD; do echo "Purg $p [1]"; done;; esac\n'
    for name, text in {
        "apt-get": apt,
        "systemctl": "exit ${SYSTEMCTL:-3}\n",
        "docker": "echo $CONTAINERS\n",
    }.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/asked\n{text}')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path / "asked"


def test_packages_go_alone_or_not_at_all(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_WOULD", "docker.io theirs")
    with pytest.raises(StepError, match="apt would also remove theirs"):
        remove_made.packages(["docker.io"], "engine")
    assert "--yes" not in tools.read_text()
    monkeypatch.setenv("CONTAINERS", "engine theirs")
    with pytest.raises(StepError, match="Docker has other containers: theirs"):
        remove_made.packages(["docker.io"], "engine")
    assert "--yes" not in tools.read_text()
    monkeypatch.setenv("CONTAINERS", "engine")
    monkeypatch.setattr(remove_made, "OLD_ROOT", str(tools.parent))
    with pytest.raises(StepError, match="holds data"):
        remove_made.packages(["docker.io"], "engine")
    assert "--yes" not in tools.read_text()
    monkeypatch.setattr(remove_made, "OLD_ROOT", str(tools.parent / "none"))
    monkeypatch.setenv("APT_WOULD", "docker.io")
    remove_made.packages(["docker.io"], "engine")
    assert "--yes purge -- docker.io" in tools.read_text()


def test_a_unit_that_does_not_stop_ends_the_removal(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMCTL", "0")
    with pytest.raises(StepError, match="is still active"):
        remove_made.stop("vllm.service")
    assert "systemctl disable --now -- vllm.service" in tools.read_text()


def steps(*given_: dict[str, Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", source("remove_made")],
        input=json.dumps({"steps": given_}) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_first_step_that_cannot_be_taken_is_the_last(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("no folder")
    (tmp_path / "c").mkdir()
    trees = [{"kind": "tree", "path": f"{tmp_path}/{name}", "keep": []} for name in "abc"]
    first, second = steps(*trees)
    assert first == {"step": 0}
    assert (second["step"], "no plain folder" in second["why"]) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
