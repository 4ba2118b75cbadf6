"""Files and folders: what is right is left alone, what is not appears by a rename."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pyinfra import state

from rocminfra.facts.paths import PathState, PathStates
from rocminfra.operations.failure import FailureKind
from rocminfra.operations.host_files import HostFile, directories, present

FILE = HostFile("/etc/demo.conf", "x = 1\n", mode=0o640)
PRIVATE = HostFile("/etc/secret.env", "KEY=abc\n", mode=0o600)


def state_of(file: HostFile, **changes: Any) -> PathState:
    values = {
        "kind": "regular file",
        "mode": file.mode,
        "user": "root",
        "group": "root",
        "sha256": hashlib.sha256(file.content.encode()).hexdigest(),
    }
    return PathState(**{**values, **changes})


def test_a_right_file_needs_no_command(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {FILE.path: state_of(FILE)}
    assert run(present, files=[FILE]).commands == []
    assert scripted.noops


def test_a_missing_file_appears_by_a_rename_with_its_mode(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[PathStates] = {}
    outcome = run(present, files=[FILE])
    assert outcome.shell == [
        "mkdir -p /etc",
        "put /etc/demo.conf.rocminfra-new",
        "chown root:root /etc/demo.conf.rocminfra-new && chmod 0640 /etc/demo.conf.rocminfra-new "
        "&& mv -fT /etc/demo.conf.rocminfra-new /etc/demo.conf",
    ]
    assert outcome.uploads == {"/etc/demo.conf.rocminfra-new": "x = 1\n"}


def test_only_what_differs_is_written(scripted: Any, run: Callable[..., Any]) -> None:
    other = HostFile("/etc/other.conf", "y\n")
    scripted.facts[PathStates] = {
        FILE.path: state_of(FILE),
        other.path: state_of(other, mode=0o666),
    }
    assert list(run(present, files=[FILE, other]).uploads) == ["/etc/other.conf.rocminfra-new"]


def test_a_folder_where_a_file_should_be_is_refused_before_any_write(
    scripted: Any, run: Callable[..., Any]
) -> None:
    other = HostFile("/etc/other.conf", "y\n")
    scripted.facts[PathStates] = {FILE.path: state_of(FILE, kind="directory", sha256="")}
    outcome = run(present, files=[other, FILE])
    assert outcome.shell == []
    assert outcome.failure.kind is FailureKind.UNFIT
    assert "/etc/demo.conf should be a file and is a directory" in outcome.failure.what


def test_one_question_for_all_files(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {}
    run(present, files=[FILE, HostFile("/etc/other.conf", "y\n")])
    assert [fact for fact, _ in scripted.asked] == [PathStates]


def test_folders_are_made_parents_first_and_mended(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {
        "/mnt/a": PathState("directory", 0o700, "root", "root", ""),
        "/mnt/c": PathState("directory", 0o755, "root", "root", ""),
    }
    outcome = run(directories, paths=["/mnt/a", "/mnt/a/b c", "/mnt/c"])
    assert outcome.shell == [
        "install -d -m 0755 -o root -g root /mnt/a",
        "install -d -m 0755 -o root -g root '/mnt/a/b c'",
    ]


def test_a_file_where_a_folder_should_be_is_refused(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {"/mnt/a": PathState("regular file", 0o644, "root", "root", "0")}
    assert run(directories, paths=["/mnt/a"]).failure.kind is FailureKind.UNFIT


def test_a_private_file_is_never_readable_by_others_and_its_contents_are_in_no_command(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[PathStates] = {}
    outcome = run(present, files=[PRIVATE])
    assert outcome.uploads == {}, "an upload is readable until its mode is set"
    (writes,) = [command for command in outcome.commands if "cat >" in str(command)]
    assert "umask 077" in str(writes)
    assert str(writes).startswith("rm -f "), "a file that is there would keep its mode"
    assert writes.connector_arguments["_stdin"] == "KEY=abc\n"
    assert all("abc" not in str(command) for command in outcome.commands)


def test_a_private_file_is_not_shown_as_a_difference(
    scripted: Any, run: Callable[..., Any]
) -> None:
    state.config.DIFF = True
    scripted.facts[PathStates] = {PRIVATE.path: state_of(PRIVATE, sha256="0" * 64)}
    run(present, files=[PRIVATE])
    assert scripted.logged == []
    assert [fact for fact, _ in scripted.asked] == [PathStates]
