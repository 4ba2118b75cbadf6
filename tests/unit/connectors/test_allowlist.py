"""Nothing but facts can run at connect, whatever somebody writes into a learned list."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyinfra.facts
import pytest
from local_host import Run, Wire, lists
from pyinfra.api import FactBase
from pyinfra.context import ctx_host
from pyinfra.facts.server import Hostname, Kernel

import rocminfra.facts
from rocminfra.connectors.allowlist import (
    ARGUMENTS,
    ReadOnlyArguments,
    arguments_allowed,
    find_fact,
)
from rocminfra.connectors.fact_watch import guess, rebuilt
from rocminfra.connectors.questions import Question

# Each does something when a shell, find, sysctl, docker or pip reads it as more than a text.
HOSTILE = (
    "$(touch {canary})",
    "`touch {canary}`",
    "; touch {canary} #",
    "' ; touch {canary} ; '",
    '" ; touch {canary} ; "',
    "a\ntouch {canary}\n",
    "x || touch {canary}",
    "*",
)


def facts_of(package: Any) -> Iterator[type[FactBase[Any]]]:
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.ispkg:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            is_fact = isinstance(value, type) and issubclass(value, FactBase)
            if is_fact and value.__module__ == module.name and "command" in dir(value):
                yield value


def parameters(fact: type[FactBase[Any]]) -> list[str]:
    if not callable(fact.command):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    signature = inspect.signature(fact.command)
    return [
        name
        for name, parameter in signature.parameters.items()
        if name != "self" and parameter.kind not in kinds
    ]


def name(fact: type[FactBase[Any]]) -> str:
    return f"{fact.__module__}.{fact.__qualname__}"


PYINFRA_FACTS = list(facts_of(pyinfra.facts))
OUR_FACTS = list(facts_of(rocminfra.facts))


@pytest.fixture
def host(wire: Wire) -> Any:
    return Run().host


def test_the_table_names_facts_that_exist_and_arguments_that_they_have() -> None:
    known = {name(fact).removeprefix("pyinfra.facts."): fact for fact in PYINFRA_FACTS}
    for fact, arguments in ARGUMENTS.items():
        assert set(arguments) <= set(parameters(known[fact])), fact


@pytest.mark.parametrize(
    "fact", [fact for fact in [*PYINFRA_FACTS, *OUR_FACTS] if parameters(fact)], ids=name
)
def test_no_argument_that_a_list_may_have_reaches_a_shell_as_more_than_a_text(
    fact: type[FactBase[Any]], host: Any, tmp_path: Path
) -> None:
    """Every parameter of every fact, with hostile values: refused, or harmless when run."""
    canary = tmp_path / "canary"
    texts: set[str] = set()
    for parameter in parameters(fact):
        for hostile in HOSTILE:
            value = hostile.format(canary=canary)
            for shaped in (value, [value]):
                arguments = {**ordinary(fact), parameter: shaped}
                if not arguments_allowed(fact, arguments):
                    continue
                built = rebuilt(host, fact, arguments, guess)
                if built is not None:
                    texts.add(built.get_raw_value())
    for text in texts:
        run = subprocess.run(
            ["timeout", "5", "sh", "-c", text],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )
        assert run.returncode != 124, f"it hangs: {text}"
        assert not canary.exists(), text


def ordinary(fact: type[FactBase[Any]]) -> dict[str, Any]:
    """An ordinary value for every argument without a default."""
    values: dict[str, Any] = {}
    for parameter in inspect.signature(fact.command).parameters.values():
        if parameter.name == "self" or parameter.default is not inspect.Parameter.empty:
            continue
        numeric = str(parameter.annotation) in ("int", "float")
        plural = "Sequence" in str(parameter.annotation) or "list" in str(parameter.annotation)
        values[parameter.name] = 1 if numeric else ["a"] if plural else "a"
    return values


@pytest.mark.parametrize(
    ("fact", "arguments"),
    [
        ("pyinfra.facts.server.Command", {"command": "touch {canary}"}),
        ("pyinfra.facts.files.FindFiles", {"path": "/tmp", "args": ["-exec", "touch", "{canary}"]}),
        ("pyinfra.facts.files.FindFiles", {"path": "$(touch {canary})", "quote_path": False}),
        (
            "pyinfra.facts.files.FindInFile",
            {"path": "/", "pattern": "$(touch {canary})", "interpolate_variables": True},
        ),
        (
            "pyinfra.facts.files.Block",
            {"path": "/etc/hosts", "begin": '/{{system("touch {canary}")}}/'},
        ),
        ("pyinfra.facts.files.File", {"path": "-delete"}),
        ("pyinfra.facts.pip.PipPackages", {"pip": "touch {canary};"}),
        ("pyinfra.facts.pip.PipPackages", {"pip": "/tmp/evil/pip"}),
        ("pyinfra.facts.server.Sysctl", {"keys": ["kernel.panic=1"]}),
        ("pyinfra.facts.server.Sysctl", {"keys": ["-w", "kernel.panic=1"]}),
        ("pyinfra.facts.docker.DockerContainer", {"object_id": "x; touch {canary}"}),
        ("pyinfra.facts.git.GitTrackingBranch", {"repo": "/tmp/evil"}),
        ("pyinfra.facts.gpg.GpgKey", {"src": "http://x/$(touch {canary})"}),
        ("pyinfra.facts.npm.NpmPackages", {"directory": "/tmp/evil"}),
        ("pyinfra.facts.mysql.MysqlDatabases", {"mysql_password": "x"}),
        ("pyinfra.facts.systemd.SystemdStatus", {"machine": "x; touch {canary}"}),
        ("pyinfra.facts.apt.SimulateOperationWillChange", {"command": "; touch {canary}"}),
        ("pyinfra.facts.iptables.IptablesRules", {"table": "filter; touch {canary}"}),
        # No facts at all, or not what they say.
        ("os.system", {"command": "touch {canary}"}),
        ("subprocess.Popen", {"args": "touch {canary}"}),
        ("pyinfra.api.facts.FactBase", {}),
        ("pyinfra.api.facts.ShortFactBase", {}),
        ("pyinfra.operations.server.shell", {"commands": "touch {canary}"}),
        ("pyinfra.facts.server.StringCommand", {}),
        ("pyinfra.facts.server.no_such_fact", {}),
        ("pyinfra.facts..server.Kernel", {}),
        ("touch {canary}", {}),
        ("", {}),
    ],
)
def test_a_planted_command_is_not_executed(
    wire: Wire, tmp_path: Path, cache: Path, fact: str, arguments: dict[str, Any]
) -> None:
    canary = tmp_path / "canary"
    fact = fact.format(canary=canary)
    planted = json.loads(json.dumps(arguments))
    for key, value in planted.items():
        if isinstance(value, str):
            planted[key] = value.format(canary=canary)
        if isinstance(value, list):
            planted[key] = [item.format(canary=canary) for item in value]
    plant(cache, {"fact": fact, "arguments": planted, "identity": {}, "supplied": []})
    with Run() as run, ctx_host.use(run.host):
        assert run.host.get_fact(Kernel) == "Linux"
        asked = {command for batch in run.connector.facts._batches for command in batch._waiting}
    assert not canary.exists()
    # What stands in the batch are the two that were learned before, and nothing of the planted.
    assert asked == {"sh -c 'uname -n'", "sh -c 'uname -s'"}


@pytest.mark.parametrize(
    "identity",
    [
        {"_shell_executable": "touch {canary}; sh"},
        {"_shell_executable": "/tmp/evil/sh"},
        {"_sudo": "touch {canary}"},
        {"_sudo": True, "_sudo_user": "x; touch {canary}"},
        {"_su_user": "-c touch"},
        {"_su_shell": "/tmp/evil"},
        {"_env": {"LD_PRELOAD": "/tmp/evil.so"}},
        {"_chdir": "/tmp"},
        {"_sudo_password": "x"},
        {"_stdin": "x"},
        {"command": "touch {canary}"},
    ],
)
def test_a_planted_identity_is_not_used(
    wire: Wire, tmp_path: Path, cache: Path, identity: dict[str, Any]
) -> None:
    canary = tmp_path / "canary"
    planted = {
        key: value.format(canary=canary) if isinstance(value, str) else value
        for key, value in identity.items()
    }
    kernel_version = "pyinfra.facts.server.KernelVersion"
    plant(cache, {"fact": kernel_version, "arguments": {}, "identity": planted, "supplied": []})
    with Run() as run:
        run.host.get_fact(Kernel)
        asked = {command for batch in run.connector.facts._batches for command in batch._waiting}
    assert asked == {"sh -c 'uname -n'", "sh -c 'uname -s'"}
    assert not canary.exists()


@pytest.mark.parametrize(
    "record",
    [
        {"command": "touch /tmp/x"},
        {"fact": ["pyinfra.facts.server.Kernel"], "arguments": {}, "identity": {}, "supplied": []},
        {"fact": "pyinfra.facts.server.Kernel", "arguments": [], "identity": {}, "supplied": []},
        {"fact": "pyinfra.facts.server.Kernel", "arguments": {}, "identity": "", "supplied": []},
        {"fact": "pyinfra.facts.server.Kernel", "arguments": {}, "identity": {}, "supplied": 1},
        {},
    ],
)
def test_a_record_that_is_no_question_is_passed_over(record: dict[str, Any]) -> None:
    assert Question.read(record) is None


def plant(cache: Path, record: dict[str, Any]) -> None:
    """Learn two facts, then write ``record`` into the list besides them."""
    with Run() as run, ctx_host.use(run.host):
        run.host.get_fact(Kernel)
        run.host.get_fact(Hostname)
    (path,) = lists(cache)
    document = json.loads(path.read_text())
    document["hosts"]["h1"].append([len(document["questions"]), 0])
    document["questions"].append(record)
    path.write_text(json.dumps(document))


def test_a_list_does_not_have_a_module_imported(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "planted_module.py").write_text(
        f"open({str(tmp_path / 'canary')!r}, 'w')\n"
        "from pyinfra.api import FactBase\nclass Planted(FactBase):\n    command = 'true'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_fact("planted_module.Planted") is None
    assert not (tmp_path / "canary").exists()


def test_a_fact_is_known_by_its_own_name_only() -> None:
    assert find_fact("pyinfra.facts.server.Kernel") is Kernel
    assert find_fact("pyinfra.facts.server.FactBase") is None
    assert find_fact(f"{__name__}.Kernel") is None


def test_facts_of_a_deploy_are_known_once_the_deploy_has_loaded_them() -> None:
    assert find_fact(f"{__name__}.Own") is Own
    assert sys.modules[__name__] is not None
    assert arguments_allowed(Own, {})
    assert not arguments_allowed(Own, {"path": "/"})
    assert arguments_allowed(OwnReadOnly, {"path": "/"})
    assert not arguments_allowed(OwnReadOnly, {"path": "-delete"})
    assert arguments_allowed(OwnReadOnly, {"lines": 2})
    assert not arguments_allowed(OwnReadOnly, {"lines": "2; true"})
    assert not arguments_allowed(OwnReadOnly, {"unknown": "2"})


class Own(FactBase[str]):
    def command(self, path: str = "", lines: int = 1) -> str:
        return f"head -{lines} {path}"


class OwnReadOnly(ReadOnlyArguments, Own):
    pass


def test_no_fact_with_an_argument_outside_of_the_table_is_allowed() -> None:
    """The table is a list of what was read, so what is not in it must not slip through."""
    for fact in PYINFRA_FACTS:
        known = ARGUMENTS.get(name(fact).removeprefix("pyinfra.facts."), {})
        for parameter in parameters(fact):
            if parameter not in known:
                for value in ("a", ["a"], {"a": "b"}, 7.5, "x y"):
                    assert not arguments_allowed(fact, {parameter: value}), (fact, parameter)
