"""A failure is a message, never an exception, and pyinfra's own words are not the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEPLOY = """
from pyinfra.api import operation
from pyinfra.operations import server
from rocminfra.failure import Do, ExitCode, Failure, Fault
from rocminfra.operations.host_failures import fail

@operation()
def broken():
    yield fail(Failure(Fault.NO_DISK_FITS, "no disk", why=("evidence",), next=Do("lsblk")))

broken(name="Broken")
server.shell(name="Later", commands=["touch later"])
"""
COMMAND = """
from pyinfra.operations import server
from rocminfra.operations.host_settings import current

current()
server.shell(name="Ignored", commands=["exit 4"], _ignore_errors=True)
server.shell(name="Broken", commands=["echo hopeless >&2; exit 3"])
"""
GATE = """
from pyinfra import host, state
from pyinfra.operations import server
from rocminfra.failure import Do, ExitCode, Failure, Fault
from rocminfra.operations.host_failures import exclude

if host.name == "@local":
    exclude(state, host, Failure(Fault.DISK_NOT_BLANK, "not this one", next=Do("look")))
server.shell(name="Work", commands=["echo done"])
"""


def pyinfra(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "deploy.py").write_text(text)
    (folder / "hosts.py").write_text('hosts = ["@local", ("@fake/fine", {"fake_delay": 0})]\n')
    hosts = "@local" if "--alone" in options else "hosts.py"
    words = [word for word in options if word != "--alone"]
    return subprocess.run(
        [sys.executable, "-m", "pyinfra", hosts, "deploy.py", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_message_is_the_last_word_and_nothing_later_runs(tmp_path: Path) -> None:
    result = pyinfra(tmp_path, DEPLOY, "-y", "--alone")
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert lines[-2:] == ["--> [@local] no disk [RI-513]", "--> [@local] next: lsblk"]
    assert "evidence" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "later").exists()


def test_a_command_that_fails_is_named_last_with_what_to_do(tmp_path: Path) -> None:
    result = pyinfra(tmp_path, COMMAND, "-y", "--alone")
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert lines[-2] == "--> [@local] 'Broken' failed; what the host said stands above"
    assert lines[-1].startswith("--> [@local] next: ")
    assert "hopeless" in result.stderr
    assert "'Ignored' failed" not in result.stderr


def test_a_host_taken_out_leaves_the_others_to_finish(tmp_path: Path) -> None:
    result = pyinfra(tmp_path, GATE, "-y")
    assert result.returncode == 1
    assert "not this one" in result.stderr
    assert "[@fake/fine] Success" in result.stderr
    assert "[@local] Success" not in result.stderr


def test_a_dry_run_tells_of_it_with_the_same_exit_code(tmp_path: Path) -> None:
    result = pyinfra(tmp_path, GATE, "--dry")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1] == "--> [@local] next: look"
