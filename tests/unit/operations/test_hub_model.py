"""A model of the hub: fetched once, with a token that is in no argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rocminfra.facts.hub_model import HubModelProblem
from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.programs import HostPrograms
from rocminfra.facts.release import PythonVersion
from rocminfra.facts.systemd_unit import SystemdUnit, Unit
from rocminfra.operations.host_failures import failures
from rocminfra.operations.hub_model import ENVIRONMENT, fetched, job, marker, none_wanted

HOME = "/mnt/models/huggingface"
REPOSITORY = "Qwen/Qwen2-VL-72B-Instruct"
FILE = PathState("regular file", 0o644, "root", "root", "0")


def fetch(run: Callable[..., Any], **arguments: Any) -> Any:
    return run(fetched, repository=REPOSITORY, home=HOME, **arguments)


@pytest.fixture
def fresh(scripted: Any) -> Any:
    found = frozenset({"python3 -m venv", "python3 -m ensurepip"})
    scripted.facts.update({PathStates: {}, PythonVersion: (3, 12), HostPrograms: found})
    scripted.facts[HubModelProblem] = "it was not downloaded yet"
    return scripted


def test_a_complete_model_is_not_fetched_again(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({HubModelProblem: "", SystemdUnit: None})
    asked: list[str] = []
    assert fetch(run, token=lambda: asked.append("token")).commands == []
    assert asked == [], "the token was read although nothing was to be fetched"


def test_another_models_download_ends_when_this_one_is_there(
    scripted: Any, run: Callable[..., Any]
) -> None:
    active = Unit("loaded", "active", enabled=False, needs_reload=False, invocation_id="1")
    scripted.facts.update({HubModelProblem: "", SystemdUnit: active})
    assert fetch(run).steps == ["_end"]
    assert run(none_wanted).steps == ["_end"]


def test_each_revision_has_its_own_marker() -> None:
    assert marker(HOME, REPOSITORY, "abc") != marker(HOME, REPOSITORY, None)
    assert ".." not in marker(HOME, "../../etc/passwd", None).split("/")


def test_the_marker_is_not_where_the_engine_may_write() -> None:
    assert not marker(HOME, REPOSITORY, None).startswith(f"{HOME}/")


def test_a_model_that_is_no_longer_whole_is_fetched_again_and_why_is_said(
    fresh: Any, run: Callable[..., Any]
) -> None:
    """As cases/hub/empty-cache-with-marker.txt: the cache was emptied by hand."""
    fresh.facts[HubModelProblem] = "/mnt/models/huggingface/hub/x is missing"
    fresh.facts[PathStates] = {marker(HOME, REPOSITORY, None): FILE}
    assert fetch(run).steps[-1] == "_fetch"
    (said,) = fresh.logged
    assert said == f"{REPOSITORY} is fetched again: {fresh.facts[HubModelProblem]}"


def test_the_token_is_in_no_command_and_no_file(fresh: Any, run: Callable[..., Any]) -> None:
    outcome = fetch(run, token=lambda: "hf_sec'ret")
    assert all("hf_sec" not in repr(command) for command in outcome.commands)
    fresh.answers = [(True, ("ended", "no", "", ""), ()), (True, (), ())]
    fresh.answers += [(True, ("ended 0", "yes", "x", ""), ()), (True, (), ())]
    function = outcome.commands[-1]
    assert function.function(None, fresh, *function.args)
    assert not any("hf_sec" in command for command in fresh.ran)
    assert [line for line in fresh.stdin if "hf_sec" in line] == [
        "export HF_TOKEN='hf_sec'\"'\"'ret'\n"
    ], "only the job itself is given the token"


def test_a_token_file_that_cannot_be_read_is_said(fresh: Any, run: Callable[..., Any]) -> None:
    def token() -> str | None:
        raise FileNotFoundError(2, "No such file or directory", "~/token")

    function = fetch(run, token=token).commands[-1]
    assert not function.function(None, fresh, *function.args)
    (failure,) = failures(fresh)
    assert "cannot be read: No such file or directory" in failure.what
    assert fresh.ran == [], "nothing was begun"


def test_each_wish_is_a_target_of_its_own() -> None:
    wishes = [
        *(("a/b", HOME, None, None), ("a/c", HOME, None, None), ("a/b", HOME, "v 1", None)),
        *(("a/b", "/x/y", None, None), ("a/b", HOME, None, "https://mirror.example")),
    ]
    assert len({job(*wish).target for wish in wishes}) == len(wishes)
    assert job("a/b", HOME, None, None) == job("a/b", HOME, None, None)
    assert "--revision 'v 1'" in job(*wishes[2]).script


def test_the_program_is_installed_once(fresh: Any, run: Callable[..., Any]) -> None:
    fresh.facts[HostPrograms] = frozenset()
    fresh.facts[InstalledPackages] = frozenset()
    assert any("apt-get" in command for command in fetch(run).shell)
    fresh.facts[PathStates] = {f"{ENVIRONMENT}/bin/hf": FILE}
    assert not any("apt-get" in command for command in fetch(run).shell)
