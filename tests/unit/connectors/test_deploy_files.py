"""What inspect is told about deploy files changes its speed and nothing else."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from local_host import Run, Wire
from pyinfra.api import State
from pyinfra.facts.server import Kernel

from rocminfra.connectors import deploy_files
from rocminfra.connectors.deploy_files import note_deploy_files

DEPLOY = "import inspect\n\nseen = [tuple(frame[1:]) for frame in inspect.stack()]\n"


def stack_of(file: Path) -> list[Any]:
    names: dict[str, Any] = {"__file__": str(file)}
    exec(compile(DEPLOY, str(file), "exec"), names)
    return cast("list[Any]", names["seen"])


def noting(deploy: str | None, included: str | None) -> State:
    state = SimpleNamespace(current_deploy_filename=deploy, current_exec_filename=included)
    return cast("State", state)


def test_the_call_stack_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "deploy.py"
    file.write_text(DEPLOY)
    before, *outside = stack_of(file)
    note_deploy_files(noting(str(file), None))
    after, *outside_after = stack_of(file)
    assert after == before == (str(file), 3, "<module>", [DEPLOY.splitlines(True)[2]], 0)
    assert len(outside_after) == len(outside)


def test_what_inspect_knows_is_left_alone() -> None:
    module = inspect.getmodule(noting)
    assert module is not None
    note_deploy_files(noting(__file__, deploy_files.__file__))
    note_deploy_files(noting(None, None))
    assert inspect.getmodule(noting) is module
    assert inspect.getmodule(note_deploy_files) is deploy_files


def test_files_are_noted_when_a_deploy_asks_a_fact(wire: Wire, tmp_path: Path) -> None:
    with Run() as run:
        run.state.current_exec_filename = str(tmp_path / "included.py")
        run.host.get_fact(Kernel)
    table: dict[str, str] = vars(inspect)["modulesbyfile"]
    assert table[str(tmp_path / "included.py")] == ""
