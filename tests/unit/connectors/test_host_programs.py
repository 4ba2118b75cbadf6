"""Programs of ours that a batch runs in its own Python: only those, and with the same outputs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from local_host import Run, Wire
from pyinfra.api import FactBase

from rocminfra.connectors import batched_ssh, host_programs
from rocminfra.connectors.batch import Limits
from rocminfra.connectors.host_programs import HostProgram, host_program, imports_of
from rocminfra.facts.disks import Disks
from rocminfra.facts.docker import DockerContainer, DockerImage, DockerRoot
from rocminfra.facts.engine import READINESS, EngineReadiness
from rocminfra.facts.paths import PathStates
from rocminfra.host.programs import source
from rocminfra.host.sent import fact_batch

SENT = "import sys; print(sys.argv)"
INSTALLED = f"! test -e {READINESS} || python3 {READINESS} "


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Text of programs by name; those that a test puts in are ours."""
    texts = {"sent.py": SENT, "readiness.py": "import json"}

    def sources() -> dict[str, tuple[str, str]]:
        return {name: (text, shlex.quote(text)) for name, text in texts.items()}

    monkeypatch.setattr(host_programs, "_sources", sources)
    return texts


def sent(*rest: str, text: str = SENT) -> str:
    return " ".join(("python3 -I -c", shlex.quote(text), *rest))


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (sent("a", "'b c'"), ["a", "b c"]),
        (sent("a", '|| echo "exit code $?"'), ["a"]),
        (sent("a || ! command -v x >/dev/null || timeout 3 x 'y z' 2>/dev/null || true"), ["a"]),
        (f"{INSTALLED}--unit u --wait 0", ["--unit", "u", "--wait", "0"]),
        # What may run more than the program, or the program in another way, is left to the shell.
        (sent("a && touch /x"), None),
        (sent("a; touch /x"), None),
        (sent("a & touch /x"), None),
        (sent("a | cat"), None),
        (sent("a > /x"), None),
        (sent("a $(touch /x)"), None),
        (sent("a `touch /x`"), None),
        (sent("a\ntouch /x"), None),
        (sent("a || true && touch /x"), None),
        (sent("a || true; touch /x"), None),
        (sent("a || true\ntouch /x"), None),
        (sent("a || true & touch /x"), None),
        (sent("a || (touch /x)"), None),
        (sent("'||' || true"), None),
        (sent("$HOME"), None),
        (sent('"a"'), None),
        (sent("'unfinished"), None),
        (sent("a", text=f"{SENT} "), None),
        (sent("a", text="print(1)"), None),
        (f"X=1 {sent('a')}", None),
        (f"! test -e {READINESS} || python3 /usr/local/lib/rocminfra/other.py a", None),
        ("! test -e /tmp/x.py || python3 /tmp/x.py a", None),
        (INSTALLED.replace("readiness", "preflight") + "a", None),
        (f"{INSTALLED}a; touch /x", None),
        (f"python3 {READINESS} a", None),
        ("true", None),
        ("", None),
    ],
)
def test_a_program_is_recognised_by_the_whole_text(
    programs: dict[str, str], script: str, arguments: list[str] | None
) -> None:
    found = host_program(script)
    assert (None if found is None else found.arguments) == arguments


@pytest.mark.parametrize(
    "command",
    [
        Disks().command("auto", "/mnt/models"),
        DockerRoot().command(),
        DockerImage().command("vllm/vllm-openai-rocm:v0.20.1"),
        DockerContainer().command("vllm"),
        EngineReadiness().command("vllm.service", "vllm", 8000, "Qwen/Qwen2-VL 72B"),
    ],
)
def test_the_facts_that_start_python_are_recognised(command: object) -> None:
    assert host_program(str(command)) is not None


def test_what_a_program_imports_is_found_in_its_text() -> None:
    sent_along = HostProgram("-c", source("docker_api"), [], 0)
    found = imports_of([sent_along, HostProgram(READINESS, "", [], None)])
    assert {"json", "socket", "subprocess"} <= set(found)
    assert "__future__" not in found
    unknown = HostProgram("/usr/local/lib/rocminfra/unknown.py", "", [], None)
    assert imports_of([unknown]) == []


def programs_fact(name: str, script: str) -> type[FactBase[list[str]]]:
    class Asked(FactBase[list[str]]):
        command = script

        @staticmethod
        def default() -> list[str]:
            return ["default"]

        def process(self, output: list[str]) -> list[str]:
            return output

    Asked.__name__ = Asked.__qualname__ = name
    Asked.__module__ = __name__
    globals()[name] = Asked
    return Asked


# As different as programs that succeed and fail can be.
TEXTS = {
    "prints": "import sys; print('out', sys.argv[1:]); sys.stdout.write('no end')",
    "nothing": "pass",
    "environment": (
        "import os, sys; mask = os.umask(0); os.umask(mask);"
        " e = {k: v for k, v in os.environ.items() if k not in ('SHLVL', '_', 'PWD', 'OLDPWD')};"
        " print(sorted(e.items()), os.getcwd(), sys.stdin.read(), __name__,"
        " sys.stdout.encoding, mask)"
    ),
    "leaves": "import os; print('said', flush=True); os._exit(0)",
    "leaves_badly": "import os; print('said', flush=True); os._exit(7)",
    "exits": "import sys; print('out'); sys.exit(0)",
    "exits_with": "import sys; print('out'); sys.exit(3)",
    "exits_saying": "import sys; print('out'); sys.exit('why')",
    "raises": "print('out'); raise ValueError('why')",
    "complains": "import sys; print('out'); print('err', file=sys.stderr)",
    "broken": "print('out'); )",
    "no_such_module": "import no_such_module_of_ours",
    "killed": "import os; print('out', flush=True); os.kill(os.getpid(), 9)",
    "starts": "import subprocess; print(subprocess.run(['echo', 'x'], capture_output=True))",
    "bytes": "import sys; sys.stdout.buffer.write(b'a\\0b\\xff\\n')",
    "dataclass": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\n"
        "class A:\n    b: int\nprint(A(1))"
    ),
    "descriptors": "import os; print(len(os.listdir('/proc/self/fd')))",
    "large": "print('x' * 300000)",
}


@pytest.fixture
def outputs(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the connector hands to pyinfra, on a host whose python3 is the system's."""
    if not os.access("/usr/bin/python3", os.X_OK):
        pytest.skip("this machine has no Python of the system's")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for variable in [name for name in os.environ if name.startswith("PYTHON")]:
        monkeypatch.delenv(variable)
    connector = type(Run().connector)
    run_shell_command = connector.run_shell_command
    seen: list[Any] = []

    def record(self: Any, *args: Any, **kwargs: Any) -> Any:
        status, output = run_shell_command(self, *args, **kwargs)
        seen.append((status, output.stdout_lines, output.stderr_lines))
        return status, output

    monkeypatch.setattr(connector, "run_shell_command", record)
    return seen


def ask(*facts: type[FactBase[Any]]) -> None:
    with Run() as run:
        for fact in facts:
            run.host.get_fact(fact, _ignore_errors=True)


def ask_live_and_in_a_batch(wire: Wire, outputs: list[Any], *facts: type[FactBase[Any]]) -> None:
    """Ask everything twice: the outputs have to be the same."""
    ask(*facts)
    plain = list(outputs)
    outputs.clear()
    ask(*facts)
    assert outputs == plain
    assert len(wire.batches) == 1
    assert wire.live == len(facts)


@pytest.mark.parametrize("name", sorted(TEXTS))
@pytest.mark.parametrize("more", ["a 'b c'", 'a || echo "exit code $?"', "a || true"])
def test_outputs_are_those_of_a_python_of_its_own(
    wire: Wire, outputs: list[Any], programs: dict[str, str], name: str, more: str
) -> None:
    programs["it.py"] = TEXTS[name]
    facts = (
        programs_fact("It", sent(more, text=TEXTS[name])),
        programs_fact("Other", "echo other"),
    )
    ask_live_and_in_a_batch(wire, outputs, *facts)


# True only inside of a batch's Python, which imports no site packages.
INSIDE = "import sys; print(sys.flags.no_site)"


def test_a_program_that_succeeds_ran_in_the_batchs_own_python(
    outputs: list[Any], programs: dict[str, str]
) -> None:
    programs["it.py"] = INSIDE
    facts = (programs_fact("It", sent("a", text=INSIDE)), programs_fact("Other", "echo other"))
    ask(*facts)
    ask(*facts)
    assert [said[1] for said in outputs] == [["0"], ["other"], ["1"], ["other"]]


@pytest.mark.parametrize("how", ["another python3 on the path", "a variable that changes Python"])
def test_where_python3_is_not_the_batchs_it_is_started(
    outputs: list[Any],
    programs: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    if how.startswith("another"):
        other = tmp_path / "python3"
        other.write_text("#!/bin/sh\necho another Python\n")
        other.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    else:
        monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    programs["it.py"] = INSIDE
    facts = (programs_fact("It", sent("a", text=INSIDE)), programs_fact("Other", "echo other"))
    ask(*facts)
    ask(*facts)
    assert outputs[2] == outputs[0]
    assert outputs[0][1] == (["another Python"] if how.startswith("another") else ["0"])


@pytest.mark.parametrize("text", [None, INSIDE, "print('out'); )", "raise SystemExit(3)", "\0"])
def test_an_installed_program_is_the_hosts_own_file(
    outputs: list[Any],
    programs: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
) -> None:
    file = tmp_path / "readiness.py"
    pattern = host_programs._INSTALLED.pattern.replace(
        r"/usr/local/lib/rocminfra/[a-z_]+\.py", re.escape(str(file))
    )
    monkeypatch.setattr(host_programs, "_INSTALLED", re.compile(pattern, re.DOTALL))
    if text is not None:
        file.write_text(text)
    script = f"! test -e {file} || python3 {file} a"
    found = host_program(script)
    assert found is not None
    assert (found.path, found.source, found.arguments) == (str(file), "", ["a"])
    facts = (programs_fact("It", script), programs_fact("Other", "echo other"))
    ask(*facts)
    ask(*facts)
    if text == INSIDE:
        assert [said[1] for said in outputs] == [["0"], ["other"], ["1"], ["other"]]
    else:
        assert outputs[:2] == outputs[2:]


def test_a_program_that_hangs_holds_up_nobody_else_and_is_ended(
    wire: Wire, outputs: list[Any], programs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_ssh.BatchedSSHConnector, "limits", Limits(fact_seconds=0.5))
    hangs = "import time, sys; time.sleep(100 if sys.flags.no_site else 0); print('live')"
    programs["it.py"] = hangs
    facts = (programs_fact("It", sent("a", text=hangs)), programs_fact("Other", "echo other"))
    ask(*facts)
    wire.execs.clear()
    ask(*facts)
    assert outputs[:2] == outputs[2:]
    assert wire.live == 1


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_programs_that_share_a_fork_say_what_each_would_say_alone(
    wire: Wire,
    outputs: list[Any],
    programs: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(host_programs, "_AT_ONCE", ("first.py", "it.py", "last.py"))
    texts = {"first.py": TEXTS["prints"], "it.py": TEXTS[name], "last.py": TEXTS["bytes"]}
    programs.update(texts)
    facts = [
        programs_fact(f"Fact{number}", sent(argument, text=text))
        for number, (text, argument) in enumerate(
            [(text, argument) for text in texts.values() for argument in ("a", "'b c'")]
        )
    ]
    ask_live_and_in_a_batch(wire, outputs, *facts)


def test_one_that_hangs_in_a_shared_fork_holds_up_nobody_else(
    wire: Wire, outputs: list[Any], programs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_programs, "_AT_ONCE", ("it.py",))
    monkeypatch.setattr(batched_ssh.BatchedSSHConnector, "limits", Limits(fact_seconds=0.5))
    hangs = (
        "import time, sys; print(sys.argv[1], flush=True);"
        "time.sleep(100 if sys.flags.no_site and sys.argv[1] == 'b' else 0)"
    )
    programs["it.py"] = hangs
    facts = [programs_fact(f"Of{name}", sent(name, text=hangs)) for name in "abc"]
    ask(*facts)
    wire.execs.clear()
    ask(*facts)
    assert outputs[:3] == outputs[3:]
    assert wire.live == 0  # each was started as it stands, in the batch


def test_what_shares_a_fork_ran_in_one_process(
    outputs: list[Any], programs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_programs, "_AT_ONCE", ("it.py", "other.py"))
    programs.update({"it.py": "import os; print(os.getpid())"})
    programs["other.py"] = f"{programs['it.py']} "
    facts = [
        programs_fact("It", sent("a", text=programs["it.py"])),
        programs_fact("Other", sent("a", text=programs["other.py"])),
    ]
    ask(*facts)
    ask(*facts)
    assert outputs[0][1] != outputs[1][1]
    assert outputs[2][1] == outputs[3][1]


@pytest.mark.parametrize(
    ("script", "paths"),
    [
        (PathStates().command(["/a"]), ["/a"]),
        (PathStates().command(["/a b", "/c;d", "'"]), ["/a b", "/c;d", "'"]),
        (PathStates().command(["/x ; do if test "]), None),
        (f"{PathStates().command(['/a'])}; touch /x", None),
        (f"touch /x; {PathStates().command(['/a'])}", None),
        (str(PathStates().command(["/a"])).replace("/a", "$(touch /x)"), None),
        (str(PathStates().command(["/a"])).replace("/a", "/*"), None),
        (str(PathStates().command(["/a"])).replace("sha256sum", "md5sum"), None),
    ],
)
def test_a_question_for_files_is_recognised_by_its_whole_text(
    script: object, paths: list[str] | None
) -> None:
    found = host_program(str(script))
    assert (None if found is None else found.arguments) == paths


def test_a_fork_that_has_no_session_of_its_own_yet_is_ended_too() -> None:
    process = subprocess.Popen(["sleep", "60"])  # in this session, as a fork is at first
    fact_batch._kill(process.pid)
    assert process.wait(timeout=30) == -signal.SIGKILL
