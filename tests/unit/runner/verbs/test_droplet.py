"""`rocminfra droplet`, as people and programs call it, on the stub cloud."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from droplet_cloud import GPU_SIZE, KEY, TOKEN, Fault
from droplet_world import HOST_KEY, World, world
from schema_check import violations

from rocminfra.droplets import opening, tags
from rocminfra.runner.cli import run as cli
from rocminfra.runner.verbs import droplet as verb

CREATE = ("droplet", "create", "--name", "mi300x-1", "--ssh-key", str(KEY["name"]))
RUN = ("droplet", "run", "--ssh-key", str(KEY["name"]), "--no-apply")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with world(tmp_path) as inner:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ROCMINFRA_DROPLET_TOKEN", TOKEN)
        monkeypatch.setenv("ROCMINFRA_DROPLET_ENDPOINT", inner.url)
        monkeypatch.setenv("ROCMINFRA_DROPLET_STATE", str(inner.folder.path))
        monkeypatch.setattr(opening, "Clock", lambda: inner.time.clock)
        monkeypatch.setattr(opening, "SshReach", lambda: inner.reach)
        yield inner


class Shell:
    """The command in this process, with what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = cli(words)
        captured = self._capsys.readouterr()
        assert TOKEN not in captured.out + captured.err
        return code, captured.out, captured.err

    def json(self, *words: str) -> dict[str, Any]:
        code, out, _ = self(*words, "--json")
        document: dict[str, Any] = json.loads(out)
        assert violations(document, "droplet") == []
        assert document["code"] == code
        return document


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def test_sizes_come_from_the_api_the_creatable_first(made: World, shell: Shell) -> None:
    code, out, _ = shell("droplet", "sizes")
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split()[:2] == [GPU_SIZE, "1.99"]
    assert lines[-1].startswith("gpu-mi300x1-192gb ")
    assert lines[-1].endswith("none: cannot be created")
    assert len(shell.json("droplet", "sizes", "--all")["sizes"]) == 4
    images = shell.json("droplet", "sizes", "--images")["images"]
    assert "gpu-amd-base" in [image["slug"] for image in images]


def test_create_list_show_destroy(made: World, shell: Shell) -> None:
    code, out, err = shell(*CREATE, "--yes")
    assert (code, out) == (0, "mi300x-1\t203.0.113.10\n")
    # The price stands there before anything is asked for.
    lines = err.splitlines()
    price = next(index for index, line in enumerate(lines) if line.startswith("price"))
    asked = next(index for index, line in enumerate(lines) if "created, $1.99" in line)
    assert "at most   $5.97 in 3 h" in lines[price + 1]
    assert price < asked

    made.time.sleep(1800)
    (shown,) = shell.json("droplet", "list")["droplets"]
    assert shown["status"] == "active"
    assert shown["cost_usd"] == pytest.approx(1.02, abs=0.03)
    code, out, _ = shell("droplet", "list")
    assert "mi300x-1  500000001  active  203.0.113.10" in out
    assert "$1.0" in out
    assert "status: active" in shell("droplet", "show", "500000001")[1]

    code, _, err = shell("droplet", "destroy", "mi300x-1", "--yes")
    assert code == 0
    assert "mi300x-1 (id 500000001): gone" in err
    assert made.stub.alive == []
    assert shell.json("droplet", "list")["droplets"] == []


def test_nothing_is_created_without_a_yes(made: World, shell: Shell) -> None:
    code, _, err = shell(*CREATE)
    assert code == 3
    assert "no terminal to ask on" in err
    assert "next: rocminfra droplet create --yes" in err
    assert made.requests("POST") == []
    assert made.ledger_text == ""


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--size", "gpu-mi300"), 6, "this cloud has no size 'gpu-mi300'"),
        (("--region", "nyc1"), 6, f"{GPU_SIZE} can be created in: atl1"),
        (("--max-usd", "1", "--max-hours", "2"), 5, "next: --max-hours 0.5"),
        (("--ssh-key", "nobody"), 3, "keys in the account: laptop (11)"),
        (("--image", "gpu-nvidia"), 6, "no image 'gpu-nvidia'"),
        (("--name", "Not A Name"), 3, "cannot be a droplet's name"),
        (("--max-hours", "-1"), 3, "-1"),
    ],
)
def test_bad_input_costs_nothing(
    made: World, shell: Shell, words: tuple[str, ...], code: int, says: str
) -> None:
    got, out, err = shell(*CREATE, "--yes", *words)
    assert (got, out) == (code, "")
    assert says in err
    assert made.requests("POST") == []
    assert made.ledger_text == ""


def test_bad_input_as_json(made: World, shell: Shell) -> None:
    document = shell.json(*CREATE, "--yes", "--size", "x")
    assert document["error"]["kind"] == "unfit"
    made.stub.faults.append(Fault("unauthorized", "GET", "."))
    document = shell.json("droplet", "list")
    assert (document["code"], document["team"]) == (4, None)
    assert "does not know this token" in document["error"]["what"]


def test_two_creates_with_one_name(made: World, shell: Shell) -> None:
    assert shell(*CREATE, "--yes")[0] == 0
    code, _, err = shell(*CREATE, "--yes")
    assert code == 9
    assert "there is a droplet of that name: mi300x-1 (id 500000001)" in err
    assert len(made.stub.droplets) == 1


def test_without_a_token(made: World, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROCMINFRA_DROPLET_TOKEN")
    code, _, err = shell("droplet", "list")
    assert code == 4
    assert "next: make one" in err


def test_a_droplet_of_somebody_else_is_not_destroyed(made: World, shell: Shell) -> None:
    made.stub.create({"name": "prod", "size": GPU_SIZE, "region": "atl1", "tags": []})
    code, _, err = shell("droplet", "destroy", "prod", "--yes")
    assert code == 5
    assert "was not made by rocminfra" in err
    assert len(made.stub.alive) == 1
    assert "1 more in team 'Team team-1'" in shell("droplet", "list")[2]


def test_one_that_is_not_there(made: World, shell: Shell) -> None:
    code, _, err = shell("droplet", "destroy", "mi300x-9", "--yes")
    assert code == 3
    assert "no droplet 'mi300x-9' in team 'Team team-1'" in err


def test_one_of_another_team(made: World, shell: Shell) -> None:
    shell(*CREATE, "--yes")
    made.stub.team = "team-2"
    made.stub.droplets.clear()
    code, _, err = shell("droplet", "destroy", "mi300x-1", "--yes")
    assert code == 4
    assert "belongs to another team than this token" in err
    code, _, err = shell("droplet", "reap")
    assert code == 4
    assert "Team team-1" in err


def test_one_that_somebody_else_destroyed(made: World, shell: Shell) -> None:
    shell(*CREATE, "--yes")
    made.stub.destroy(500_000_001)
    made.time.sleep(60)
    code, _, err = shell("droplet", "list")
    assert code == 0
    assert "mi300x-1 (id 500000001): destroyed by someone else" in err


def test_a_damaged_ledger_stops_creation_and_not_reaping(made: World, shell: Shell) -> None:
    shell(*CREATE, "--yes", "--max-hours", "1")
    with made.folder.ledger.open("a") as file:
        file.write("rubbish\n")
    code, _, err = shell(*CREATE, "--yes", "--name", "b")
    assert code == 5
    assert "line 4: is not JSON" in err
    made.time.sleep(3601)
    assert shell("droplet", "reap")[0] == 5
    assert made.stub.alive == []


def test_reap_says_first_what_it_would_destroy(made: World, shell: Shell) -> None:
    shell(*CREATE, "--yes", "--max-hours", "1")
    assert "nothing to destroy" in shell("droplet", "reap")[2]
    made.time.sleep(3601)
    (doomed,) = shell.json("droplet", "reap", "--dry-run")["doomed"]
    assert doomed["label"] == "mi300x-1 (id 500000001)"
    assert len(made.stub.alive) == 1
    assert shell.json("droplet", "reap")["gone"] == ["mi300x-1 (id 500000001)"]
    assert made.stub.alive == []


def test_ssh_goes_by_the_pinned_key(
    made: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(verb.os, "execvp", lambda _file, words: called.append(words))
    shell(*CREATE, "--yes")
    assert shell("droplet", "ssh", "mi300x-1", "uname", "-a")[0] == 0
    assert called[0][-3:] == ["root@203.0.113.10", "uname", "-a"]
    assert "StrictHostKeyChecking=yes" in called[0]
    file = next(word for word in called[0] if word.startswith("UserKnownHostsFile="))
    assert HOST_KEY in Path(file.partition("=")[2]).read_text()


def test_ssh_trusts_no_key_that_nobody_saw(made: World, shell: Shell) -> None:
    body = {"name": "a", "size": GPU_SIZE, "region": "atl1", "tags": [tags.OURS]}
    made.stub.create(body)
    made.time.sleep(60)
    code, _, err = shell("droplet", "ssh", "a")
    assert code == 5
    assert "next: ssh root@203.0.113.10" in err


def test_run_ends_with_the_commands_code_and_a_summary(
    made: World, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, _, err = shell(*RUN, "--yes", "--max-usd", "2", "--", "sh", "-c", "exit 42")
    assert code == 42
    assert made.stub.alive == []
    (line,) = [line for line in err.splitlines() if "of at most $2.00" in line]
    assert "destroyed" in line
    assert line in summary.read_text()


def test_run_as_json_keeps_the_commands_output_off_stdout(made: World, shell: Shell) -> None:
    words = ("--yes", "--json", "--", "sh", "-c", "echo not json; exit 3")
    code, out, _ = shell(*RUN, *words)
    document = json.loads(out)
    assert violations(document, "droplet") == []
    assert (code, document["code"]) == (3, 3)
    assert document["run"]["usd"] > 0


def test_the_next_run_destroys_what_a_killed_one_left(made: World, shell: Shell) -> None:
    made.stub.active_after_s = made.stub.address_after_s = 0.0  # the child's time is its own
    child = os.fork()
    if child == 0:  # dies in the middle of its command, without a chance to do anything
        kill = f"kill -9 {os.getpid()}"
        cli([*RUN, "--name", "left", "--yes", "--", "sh", "-c", kill])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert [item.name for item in made.stub.alive] == ["left"]
    code, _, err = shell(*RUN, "--yes", "--", "true")
    assert code == 0
    assert "left (id 500000001): left by a run that was killed" in err
    assert made.stub.alive == []


@pytest.mark.parametrize("end", ["closed terminal", "SIGTERM", "Ctrl-C"])
def test_a_run_that_is_ended_from_outside_destroys_its_droplet(made: World, end: str) -> None:
    """In a process of its own, on a terminal of its own, in the middle of its command."""
    made.stub.active_after_s = made.stub.address_after_s = 0.0  # the child's time is its own
    made.stub.lingers_s = 0.0
    child, terminal = pty.fork()
    if child == 0:
        # Not the streams that the test captures.
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        code = cli([*RUN, "--name", "ended", "--yes", "--", "sleep", "60"])
        os._exit(code)
    said = b""
    while b"command: sleep" not in said:
        said += os.read(terminal, 4096)
    assert len(made.stub.alive) == 1
    if end == "closed terminal":
        os.close(terminal)
    elif end == "SIGTERM":
        os.kill(child, signal.SIGTERM)
    else:
        os.write(terminal, b"\x03")
    code = _code_of(child, terminal if end != "closed terminal" else None)
    assert code == 130
    assert made.stub.alive == []
    assert '"how": "destroyed"' in made.ledger_text


def _code_of(child: int, terminal: int | None) -> int:
    """The exit code of a child that is given half a minute; its terminal is read meanwhile."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if terminal is not None:
                os.close(terminal)
            return os.waitstatus_to_exitcode(status)
        if terminal is not None and select.select([terminal], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):
                os.read(terminal, 4096)
        else:
            time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("it did not end")
