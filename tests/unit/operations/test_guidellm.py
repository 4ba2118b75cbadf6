"""GuideLLM's environment: made once, whole or again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rocminfra.facts.guidellm import GuidellmEnvironment
from rocminfra.facts.packages import InstalledPackages
from rocminfra.operations.guidellm import environment

PATH = "/opt/rocminfra/guidellm-0.8.1"
WANTED = "guidellm[vision]==0.8.1 torch==2.13.0"


def make(run: Callable[..., Any], **changes: Any) -> list[str]:
    arguments = {"path": PATH, "version": "0.8.1", "torch_version": "2.13.0", **changes}
    shell: list[str] = run(environment, **arguments).shell
    return shell


@pytest.fixture
def fresh(scripted: Any) -> Any:
    scripted.facts.update(
        {GuidellmEnvironment: None, InstalledPackages: frozenset({"python3-venv"})}
    )
    return scripted


def test_a_complete_environment_is_left_alone(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[GuidellmEnvironment] = WANTED
    assert make(run) == []
    assert scripted.noops == [f"{PATH} holds {WANTED}"]


@pytest.mark.parametrize("found", [None, "guidellm[vision]==0.8.1 torch==2.12.0"])
def test_a_half_made_or_other_one_is_made_again(
    fresh: Any, run: Callable[..., Any], found: str | None
) -> None:
    fresh.facts[GuidellmEnvironment] = found
    shell = make(run)
    assert shell[0].endswith(f"rm -rf {PATH} && python3 -m venv {PATH}")
    assert "no virtual environment: move it away" in shell[0], "a path of somebody else's"
    assert "--no-compile" in shell[1]
    assert shell[1].endswith("torch==2.13.0 'guidellm[vision]==0.8.1'")


def test_the_marker_comes_last_and_only_after_guidellm_has_answered(
    fresh: Any, run: Callable[..., Any]
) -> None:
    *before, last = make(run)
    assert last.index("guidellm --version") < last.index("&&") < last.index(f"> {PATH}/.complete")
    assert f"'{WANTED}'" in last
    assert not any(".complete" in command for command in before)


def test_an_index_with_cpu_builds_is_the_only_one_asked_for_torch(
    fresh: Any, run: Callable[..., Any]
) -> None:
    shell = make(run, torch_index_url="https://download.example.org/whl/cpu")
    torch, rest = shell[1], shell[2]
    assert "--index-url https://download.example.org/whl/cpu torch==2.13.0" in torch
    assert "--index-url" not in rest


def test_venv_is_installed_only_where_it_is_missing(fresh: Any, run: Callable[..., Any]) -> None:
    assert not any("apt-get" in command for command in make(run))
    fresh.facts[InstalledPackages] = frozenset()
    assert any("apt-get" in command and "python3-venv" in command for command in make(run))


def test_a_marker_is_read_as_text_and_its_absence_as_none() -> None:
    fact = GuidellmEnvironment()
    asked = "! test -f '/opt/a b/.complete' || cat '/opt/a b/.complete'"
    assert asked in str(fact.command(path="/opt/a b"))
    fact = GuidellmEnvironment()
    assert fact.process([WANTED]) == WANTED
    assert fact.process([]) is None
