"""Which hosts `deploy.py` prepares, and which only send load: by mistake a disk is formatted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from failing import next_of
from pyinfra import state

from rocminfra.facts.paths import PathStates
from rocminfra.failure import ExitCode
from rocminfra.operations import load_generator
from rocminfra.operations.host_failures import failures
from rocminfra.operations.host_settings import InvalidSettings

ROOT = Path(__file__).parents[3]


class Other(SimpleNamespace):
    """Another host of the inventory."""

    def __hash__(self) -> int:
        return hash(self.name)


class Inventory(list[Any]):
    """Hosts by name."""

    def get_host(self, name: str) -> Any:
        return next(one for one in self if one.name == name)


@pytest.fixture
def loader(scripted: Any) -> Any:
    """The current host, called ``loader``, which has no engine."""
    scripted.name = "loader"
    scripted.facts[PathStates] = {}
    state.active_hosts.add(scripted)
    return scripted


def inventory(**hosts: dict[str, Any]) -> None:
    state.inventory = Inventory(
        Other(name=name, data=SimpleNamespace(dict=lambda data=data: data))
        for name, data in hosts.items()
    )


def test_a_host_that_nobody_names_serves(loader: Any) -> None:
    inventory(engine={}, loader={"bench.load_generator": "engine"})
    assert load_generator.serves()
    assert loader.asked == []
    assert load_generator.users() == ()


def test_a_load_generator_does_not_and_says_so(loader: Any) -> None:
    inventory(engine={"bench": {"load_generator": "loader"}, "vllm": {"port": 8001}}, loader={})
    assert not load_generator.serves()
    assert loader.logged == ["sends the load of engine: no engine here, and nothing to do"]
    assert failures(loader) == ()
    assert [settings.vllm.port for settings in load_generator.users()] == [8001]


def test_a_load_generator_without_its_engine_says_that_nothing_is_measured(loader: Any) -> None:
    inventory(engine={"bench.load_generator": "loader"}, loader={})
    load_generator.tell_if_unused()
    assert loader.logged == ["sends the load of engine, not in this run: nothing is measured"]
    loader.logged.clear()
    state.active_hosts.add(state.inventory[0])
    load_generator.tell_if_unused()
    assert loader.logged == []


def test_a_wrong_setting_of_the_engine_does_not_make_the_load_generator_one(loader: Any) -> None:
    inventory(engine={"bench": {"load_generator": "loader"}, "vllm": {"port": 0}}, loader={})
    assert not load_generator.serves()
    with pytest.raises(InvalidSettings, match=r"settings of engine .*\n.*vllm\.port"):
        load_generator.users()


def test_a_name_that_cannot_be_read_ends_the_run(loader: Any) -> None:
    inventory(engine={"bench": {"load_generatr": "loader"}}, loader={})
    with pytest.raises(InvalidSettings, match="load_generatr: unknown key"):
        load_generator.serves()


def test_a_load_generator_with_an_engine_is_not_passed_over(loader: Any) -> None:
    inventory(engine={"bench": {"load_generator": "loader"}}, loader={})
    loader.facts[PathStates] = lambda paths: dict.fromkeys(paths, "file")
    assert not load_generator.serves()
    (failure,) = failures(loader)
    assert failure.kind is ExitCode.SETTINGS
    assert failure.what.startswith("loader is the load generator of engine, and has an engine")
    assert "rocminfra remove --limit loader" in next_of(failure)
    assert loader in state.failed_hosts


def test_a_load_generator_is_for_one_engine_of_a_run(loader: Any) -> None:
    names = {"bench.load_generator": "other"}
    inventory(first=names, loader=names, other=names)
    first, _, other = state.inventory
    state.inventory[1] = loader
    loader.data = SimpleNamespace(dict=lambda: names)
    load = load_generator.Load("other", None, "127.0.0.1:8000", None)
    state.active_hosts = {loader, other}
    load_generator.gate(load, ())
    assert failures(loader) == ()

    state.active_hosts = {first, loader, other}
    load_generator.gate(load, ())
    (failure,) = failures(loader)
    assert failure.kind is ExitCode.LOCKED
    assert failure.what == (
        "other sends the load of first in this run, and of one engine at a time"
    )
    assert "--limit loader" in next_of(failure)
    assert loader in state.failed_hosts
    assert first in state.active_hosts


@pytest.mark.parametrize(
    ("engine", "is_prepared", "said"),
    [
        ("{}", True, ""),
        ("{bench: {load_generator: '@local'}}", False, "sends the load of engine"),
        ("{bench: {load_generator: '@local', guidellm: 1}}", False, "sends the load of engine"),
        ("{bench: {load_generatr: '@local'}}", False, "load_generatr"),
    ],
)
def test_deploy_never_prepares_a_load_generator(
    tmp_path: Path, engine: str, is_prepared: bool, said: str
) -> None:
    # The inventory is not ours, so that nothing is judged before deploy.py.
    (tmp_path / "hosts.py").write_text(
        f"import yaml\nhosts = [('engine', yaml.safe_load({engine!r})), ('@local', {{}})]\n"
    )
    shutil.copy(ROOT / "deploy.py", tmp_path)
    (tmp_path / "tasks").mkdir()
    for task in (ROOT / "tasks").glob("*.py"):
        (tmp_path / "tasks" / task.name).write_text(f"print('PREPARED {task.stem}')\n")
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", "hosts.py", "deploy.py", "--limit", "@local"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("PREPARED storage" in done.stdout) is is_prepared, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
