"""The command as people call it: exit codes, streams, JSON, help."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import FILE, MAIN, environment, under_way
from schema_check import violations

from rocminfra import __version__
from rocminfra.runner.cli import VERBS

BROKEN = 'from pyinfra.operations import server\nserver.shell(name="x", commands="exit 3")\n'


def rocminfra(
    folder: Path, *arguments: str, stdin: Any = subprocess.DEVNULL, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        env=environment(**environ),
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deploy.py").write_text(FILE)
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path


def test_help_lists_the_verbs_and_the_exit_codes(tmp_path: Path) -> None:
    done = rocminfra(tmp_path, "--help")
    assert done.returncode == 0
    assert all(re.search(rf"^  {verb} ", done.stdout, re.MULTILINE) for verb in VERBS)
    assert "130 interrupted" in done.stdout


def test_help_and_version_import_neither_pyinfra_nor_rich(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom rocminfra.runner.cli import run\n"
        "for words in (['--help'], ['--version'], ['plan', '--help']):\n"
        "    run(words)\n"
        "print(sorted({'pyinfra', 'gevent', 'rich', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert f"rocminfra {__version__}" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--foo"),
        ("frobnicate",),
        ("init",),
        ("bench", "extra-argument"),
        ("plan", "-i", "missing.py"),
        ("plan", "-i", "@local", "--limit", "nobody"),
        ("plan", "-i", "@local", "--data", "vllm.prot=1"),
        ("plan",),
        ("apply", "-i", "@local"),  # asks, and there is nobody to ask
    ],
)
def test_wrong_options_and_settings_end_with_3(arguments: tuple[str, ...], folder: Path) -> None:
    done = rocminfra(folder, *arguments)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_a_plan_exits_with_0_and_with_2_when_asked(folder: Path) -> None:
    plain = rocminfra(folder, "plan", "-i", "@local")
    asked = rocminfra(folder, "plan", "-i", "@local", "--exit-code")
    assert (plain.returncode, asked.returncode) == (0, 2)
    assert "+ a file" in plain.stdout
    assert plain.stderr.splitlines()[-1] == "next: rocminfra apply -i @local"
    assert not (folder / "out").exists()


def test_apply_then_plan_finds_nothing_to_change(folder: Path) -> None:
    applied = rocminfra(folder, "apply", "-i", "@local", "--yes")
    assert applied.returncode == 0
    assert "1 changed" in applied.stdout
    assert (folder / "out").exists()
    again = rocminfra(folder, "plan", "-i", "@local", "--exit-code")
    assert (again.returncode, again.stdout) == (0, "@local: nothing to change (1 operations)\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("plan",), 0),
        (("plan", "--exit-code"), 2),
        (("plan", "--data", "vllm.prot=1"), 3),
        (("apply",), 0),
        (("apply", "broken.py"), 1),
        (("status", "--data", "vllm.prot=1"), 3),
        (("bench", "--scenario", "x", "--data", "vllm.prot=1"), 3),
    ],
)
def test_json_goes_to_stdout_and_fits_its_schema(
    arguments: tuple[str, ...], code: int, folder: Path
) -> None:
    done = rocminfra(folder, *arguments, "-i", "@local", "--json")
    document = json.loads(done.stdout)
    assert violations(document, arguments[0]) == []
    assert (done.returncode, document["code"]) == (code, code)
    if code not in (0, 2):
        assert done.stderr != ""


def test_a_failing_operation_is_the_last_word_and_not_pyinfras(folder: Path) -> None:
    done = rocminfra(folder, "apply", "broken.py", "-i", "@local", "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "@local: operation 'x' failed [RI-103]",
        "next: rocminfra apply -i @local --limit @local broken.py -v",
    ]
    assert "No hosts remaining" not in done.stderr + done.stdout


def test_an_unreachable_host_ends_with_4(folder: Path) -> None:
    done = rocminfra(folder, "plan", "-i", "127.0.0.1", "--data", "ssh_port=1")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == "next: ssh -p 1 127.0.0.1 true"


def test_no_control_characters_without_a_terminal(folder: Path) -> None:
    done = rocminfra(folder, "apply", "-i", "@local", "-y", "-v")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_apply_ends_with_130(number: signal.Signals, folder: Path) -> None:
    (folder / "slow.py").write_text(
        "from pyinfra.operations import files, server\n"
        'files.file(name="a file", path="out", present=True)\n'
        'server.shell(name="slow", commands="touch started; exec sleep 60")\n'
    )
    process = under_way(folder, "apply", "slow.py", "-i", "@local", "-y")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    # The shell command is a child of ours; over SSH it would be sshd's business.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "1 changed" in out
    assert err.splitlines()[-2:] == [
        "interrupted; what was done stays done",
        "next: rocminfra apply -i @local slow.py",
    ]


@pytest.mark.parametrize(
    ("answer", "code", "made"),
    [(b"y\n", 0, True), (b"n\n", 0, False), (b"\n", 0, False), (b"\x03", 130, False)],
)
def test_apply_asks_on_a_terminal(answer: bytes, code: int, made: bool, folder: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "apply", "-i", "@local"],
        cwd=folder,
        env=environment(NO_COLOR="1"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # The terminal has to be the process's own for Ctrl-C to become a signal.
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),  # type: ignore[func-returns-value]
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 60
    with contextlib.suppress(OSError):  # how a terminal whose process has ended says so
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.5)[0]:
                seen += os.read(ours, 4096)
            if b"apply this?" in seen:
                os.write(ours, answer)
                answer = b""
    os.close(ours)
    process.kill()
    assert process.wait(timeout=20) == code, seen
    assert b"+ a file" in seen
    assert b"Traceback" not in seen
    assert (folder / "out").exists() is made
    assert (b"not applied" in seen) is (code == 0 and not made)


def test_init_lays_the_playbook_out_and_says_what_is_next(tmp_path: Path) -> None:
    done = rocminfra(tmp_path, "init", "my hosts")
    assert done.returncode == 0
    assert "my hosts/deploy.py" in done.stdout.splitlines()
    assert "    cd 'my hosts'" in done.stderr.splitlines()
    as_json = rocminfra(tmp_path, "init", "other", "--json")
    document = json.loads(as_json.stdout)
    assert violations(document, "init") == []
    assert "deploy.py" in document["files"]
    refused = rocminfra(tmp_path, "init", "other", "--json")
    document = json.loads(refused.stdout)
    assert violations(document, "init") == []
    assert (refused.returncode, document["code"], document["files"]) == (3, 3, [])
    again = rocminfra(tmp_path, "init", "my hosts")
    assert again.returncode == 3
    assert "nothing was written" in again.stderr
