"""A model of the hub: fetched once, with a token that is in no argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.programs import HostPrograms
from rocminfra.facts.release import PythonVersion
from rocminfra.operations.hub_model import ENVIRONMENT, fetched, marker

HOME = "/mnt/models/huggingface"
REPOSITORY = "Qwen/Qwen2-VL-72B-Instruct"
FILE = PathState("regular file", 0o644, "root", "root", "0")


def fetch(run: Callable[..., Any], **arguments: Any) -> Any:
    return run(fetched, repository=REPOSITORY, home=HOME, **arguments)


@pytest.fixture
def fresh(scripted: Any) -> Any:
    found = frozenset({"python3 -m venv", "python3 -m ensurepip"})
    scripted.facts.update({PathStates: {}, PythonVersion: (3, 12), HostPrograms: found})
    return scripted


def test_a_complete_model_is_not_fetched_again(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {marker(HOME, REPOSITORY, None): FILE}
    asked: list[str] = []
    assert fetch(run, token=lambda: asked.append("token")).commands == []
    assert asked == [], "the token was read although nothing was to be fetched"


def test_each_revision_has_its_own_marker() -> None:
    assert marker(HOME, REPOSITORY, "abc") != marker(HOME, REPOSITORY, None)
    assert ".." not in marker(HOME, "../../etc/passwd", None).split("/")


def test_the_marker_is_not_where_the_engine_may_write() -> None:
    assert not marker(HOME, REPOSITORY, None).startswith(f"{HOME}/")


def test_the_token_is_in_no_command_and_no_file(fresh: Any, run: Callable[..., Any]) -> None:
    outcome = fetch(run, token=lambda: "hf_secret")
    assert all("hf_secret" not in text for text in outcome.shell)
    assert all("hf_secret" not in repr(command) for command in outcome.commands)
    carriers = [
        command
        for command in outcome.commands
        if "hf_secret" in str(command.connector_arguments.get("_stdin"))
    ]
    assert len(carriers) == 1
    assert carriers == [outcome.commands[-1]], "only the job itself is given the token"


def test_it_is_marked_complete_only_after_the_download(fresh: Any, run: Callable[..., Any]) -> None:
    last = fetch(run, revision="v 1").shell[-1]
    assert last.index("download") < last.index("touch")
    assert "&& touch" in last
    assert "--revision 'v 1'" in last


def test_the_program_is_installed_once(fresh: Any, run: Callable[..., Any]) -> None:
    assert any("venv" in command for command in fetch(run).shell)
    fresh.facts[PathStates] = {f"{ENVIRONMENT}/bin/hf": FILE}
    assert not any("venv" in command for command in fetch(run).shell)
