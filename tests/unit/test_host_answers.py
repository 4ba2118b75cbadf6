"""A login shell may say what it likes; only what a command printed is its answer."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

import rocminfra.facts
from rocminfra.facts.docker import DockerInstalled
from rocminfra.facts.host_fact import HostFact
from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.system import GroupExists
from rocminfra.host_answers import BEGIN, END, answer, framed, said_besides

# What stands in a .bashrc, and so runs before each command that comes over SSH.
TALKING = [
    "",
    "echo 'Welcome to your GPU droplet'",  # droplet/bashrc-greeting.sh
    "echo 'Welcome to your GPU droplet' >&2",
    "printf 'no end of line'",
    "trap 'echo logout' EXIT",
    "trap 'printf bye' EXIT; echo hello",
    "set -x",
    "set -v",
    "printf 'a\\r\\nb\\r\\n'",
    "echo 'bash: warning: setlocale: LC_ALL: cannot change locale (de_DE.UTF-8)' >&2",
    "echo '{\"blockdevices\": []}'; echo yes; echo '|install ok installed'",
    f"echo '  {BEGIN} of a fool'",
    "yes | head -n 5000",
]


def said(rc: str, script: str, shell: str = "bash") -> tuple[int, list[str]]:
    text = f"{rc}\nsh -c {shlex.quote(script)}"
    done = subprocess.run([shell, "-c", text], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.split("\n")[: -1 if done.stdout.endswith("\n") else None]


@pytest.mark.parametrize("rc", TALKING)
@pytest.mark.parametrize(
    ("script", "status", "lines"),
    [
        ("echo one; echo two", 0, ["one", "two"]),
        ("printf one", 0, ["one"]),
        ("printf 'one\\n\\n'", 0, ["one", ""]),
        ("echo", 0, [""]),
        ("true", 0, []),
        ("echo half; false", 1, ["half"]),
        ("sh -c 'exit 7' # a comment", 7, []),
        ("sleep 0 &", 0, []),
        ("echo one; exit 3", 3, ["one"]),
        ("exec echo one", 0, ["one"]),
        ("{ echo one; }", 0, ["one"]),
        ("(echo one)", 0, ["one"]),
        ("(echo one);", 0, ["one"]),
        ("cat <<'E'\nx y\nE", 0, ["x y"]),
        (f"echo '{END}'; echo more", 0, [END, "more"]),
    ],
)
def test_an_answer_is_what_the_command_printed(
    rc: str, script: str, status: int, lines: list[str]
) -> None:
    code, output = said(rc, framed(script))
    assert answer(output) == lines
    assert code == status


@pytest.mark.parametrize("rc", ["exit 0", "echo bye; exit 0", "exec true", "exec >/dev/null"])
def test_a_login_shell_that_runs_nothing_gives_no_answer(rc: str) -> None:
    assert answer(said(rc, framed("echo one"))[1]) is None


def test_what_was_said_besides_is_told() -> None:
    assert said_besides(["Welcome", "", BEGIN, "one", "", END, "bye"]) == ["Welcome"]
    assert said_besides(["Welcome "]) == ["Welcome"]


def test_framed_once_is_enough() -> None:
    assert framed(framed("true")) == framed("true")


_lines = st.lists(st.text(st.characters(blacklist_characters="\n\r", codec="utf-8"), max_size=8))


@given(before=_lines, content=_lines, after=_lines)
def test_any_answer_survives_any_chatter(
    before: list[str], content: list[str], after: list[str]
) -> None:
    if BEGIN in before or END in after:
        return
    assert answer([*before, BEGIN, *content, "", END, *after]) == content


def facts() -> list[type[FactBase[object]]]:
    modules = [
        importlib.import_module(f"rocminfra.facts.{found.name}")
        for found in pkgutil.iter_modules(rocminfra.facts.__path__)
    ]
    return [
        cls
        for module in modules
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, FactBase) and cls.__module__ == module.__name__
    ]


def test_every_fact_of_ours_is_framed() -> None:
    assert len(facts()) > 15
    assert [cls for cls in facts() if not issubclass(cls, HostFact)] == []


def test_the_playbook_asks_no_fact_that_is_not_framed() -> None:
    package = Path(rocminfra.facts.__file__).parents[1]
    files = [*package.glob("operations/*.py"), *package.glob("runner/**/*.py")]
    assert len(files) > 20
    users = [file.name for file in files if "pyinfra.facts" in file.read_text(encoding="utf-8")]
    assert users == []


@pytest.mark.parametrize("rc", TALKING)
def test_a_fact_reads_its_answer_and_nothing_else(rc: str) -> None:
    for fact, arguments in (
        (GroupExists(), {"group": "no-such-group"}),
        (GroupExists(), {"group": "root"}),
        (InstalledPackages(), {"packages": ["no-such-package"]}),
        (DockerInstalled(), {}),
    ):
        command = fact.command(**arguments)
        script = command if isinstance(command, str) else command.get_raw_value()
        quiet, talking = (fact.process(said(text, script)[1]) for text in ("", rc))
        assert talking == quiet


def test_a_fact_without_an_answer_says_what_the_login_shell_said() -> None:
    fact = DockerInstalled()
    fact.command()
    with pytest.raises(FactProcessError, match="gave no answer; its login shell said: Welcome"):
        fact.process(["Welcome"])


def test_a_missing_program_is_told_from_chatter() -> None:
    fact = InstalledPackages()
    fact.command(packages=["a"])
    assert fact.process(["Welcome", "##PYINFRA_NOCMD##"]) == frozenset()
