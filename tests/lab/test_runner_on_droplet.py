"""The command against a real sshd: logins that fail, locks, lost connections, interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab_host
import pytest
from lab_host import LabHost

from rocminfra.lab import hosts

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
MAIN = "from rocminfra.runner.cli import main; main()"
LOCK = "/var/lib/rocminfra/lock"
TOUCH = 'from pyinfra.operations import server\nserver.shell(name="touch", commands="touch {0}")\n'
SLOW = (
    "from pyinfra.operations import server\n"
    'server.shell(name="slow", commands="touch /run/slow-started; exec sleep 60")\n'
)


class Playbook:
    """A folder with an inventory of one droplet."""

    def __init__(self, folder: Path, host: LabHost) -> None:
        self.folder = folder
        self.host = host
        self.data: dict[str, Any] = hosts.data(lab_host.PATHS, host.droplet)

    def write(self, text: str) -> None:
        """Write the deploy file and the inventory."""
        (self.folder / "deploy.py").write_text(text)
        (self.folder / "hosts.py").write_text(f"hosts = [({self.host.name!r}, {self.data!r})]\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("ROCMINFRA_")}
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments, "-i", "hosts.py"],
            cwd=self.folder,
            env={**environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command: exit code, stdout, stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def started(self) -> subprocess.Popen[str]:
        """An apply that is in the middle of its slow operation."""
        self.write(SLOW)
        process = self.start("apply", "-y")
        deadline = time.monotonic() + 30
        while self.host.ssh("test -e /run/slow-started").returncode != 0:
            assert time.monotonic() < deadline, process.communicate(timeout=1)
            assert process.poll() is None, process.communicate()
        return process


@pytest.fixture
def playbook(droplet: LabHost, tmp_path: Path) -> Iterator[Playbook]:
    yield Playbook(tmp_path, droplet)
    droplet.ok(
        "pkill -x sleep; rm -f /run/slow-started /run/touched;"
        " cd /var/lib/rocminfra 2>/dev/null && rm -f lock events.jsonl record.json;"
        " rmdir --ignore-fail-on-non-empty /var/lib/rocminfra 2>/dev/null; true"
    )


def test_an_operation_runs_and_the_lock_is_free_afterwards(playbook: Playbook) -> None:
    playbook.write(TOUCH.format("/run/touched"))
    code, out, err = playbook.run("apply", "-y", "--json")
    assert code == 0, err
    assert json.loads(out)["hosts"][0]["operations"][0]["outcome"] == "changed"
    assert playbook.host.ok(f"cat {LOCK}; stat -c %s /run/touched").split() == ["0"]


def test_a_user_with_sudo_does_the_same(playbook: Playbook) -> None:
    playbook.data |= {"ssh_user": "ops", "_sudo": True}
    playbook.write(TOUCH.format("/run/touched"))
    code, _, err = playbook.run("apply", "-y")
    assert code == 0, err
    assert playbook.host.ok("stat -c %U /run/touched") == "root\n"
    assert playbook.host.ok(f"cat {LOCK}") == ""


def test_a_plan_takes_no_lock_and_changes_nothing(playbook: Playbook) -> None:
    playbook.write(TOUCH.format("/run/touched"))
    code, out, err = playbook.run("plan", "--exit-code")
    assert (code, "+ touch" in out) == (2, True), err
    assert playbook.host.ssh(f"ls {LOCK} /run/touched").returncode != 0


@pytest.mark.parametrize("wrong", ["user", "key", "host key", "port"])
def test_a_login_that_fails_ends_with_4_and_a_command_to_see_why(
    wrong: str, playbook: Playbook, tmp_path: Path
) -> None:
    if wrong == "user":
        playbook.data["ssh_user"] = "nobody-here"
    elif wrong == "key":
        key = tmp_path / "other_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        playbook.data["ssh_key"] = str(key)
    elif wrong == "host key":
        known = tmp_path / "known_hosts"
        public = subprocess.run(
            ["ssh-keygen", "-y", "-f", playbook.data["ssh_key"]],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        known.write_text(f"{playbook.host.address} {public}")
        playbook.data["ssh_known_hosts_file"] = str(known)
    else:
        playbook.data["ssh_port"] = 1
    playbook.write(TOUCH.format("/run/touched"))
    code, _, err = playbook.run("apply", "-y")
    assert code == 4, err
    assert "Traceback" not in err
    lines = err.splitlines()
    assert lines[-2] == f"{playbook.host.name} cannot be reached [RI-401]"
    if wrong == "host key":
        forget = f"ssh-keygen -R {playbook.host.address} -f {known}; then: rocminfra apply "
        assert lines[-1].startswith(f"next: when you know why it changed: {forget}")
        return
    assert lines[-1].startswith("next: ssh ")
    by_hand = subprocess.run(
        lines[-1].removeprefix("next: ") + " < /dev/null",
        shell=True,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
    )
    assert by_hand.returncode == 255, "the command that is named fails for the same reason"


def test_a_second_run_is_told_who_is_at_work(playbook: Playbook) -> None:
    first = playbook.started()
    code, _, err = playbook.run("apply", "-y")
    assert code == 9
    assert f"{playbook.host.name} is locked by another run" in err
    assert "rocminfra apply, by " in err
    code, _, err = playbook.run("plan")
    assert code == 0, err
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130, err
    assert "Traceback" not in err
    assert playbook.host.ok(f"cat {LOCK}") == ""


def test_a_run_that_was_killed_blocks_nobody(playbook: Playbook) -> None:
    first = playbook.started()
    assert "rocminfra apply" in playbook.host.ok(f"cat {LOCK}")
    first.kill()
    first.communicate()
    playbook.write(TOUCH.format("/run/touched"))
    code, _, err = playbook.run("apply", "-y")
    assert code == 0, err
    assert "the lock of a run that is gone was taken over" in err


def test_a_connection_that_is_lost_ends_with_4(playbook: Playbook) -> None:
    first = playbook.started()
    pid = json.loads(playbook.host.ok(f"cat {LOCK}"))["pid"]
    playbook.host.ok(f"kill -9 {pid}")
    _, err = first.communicate(timeout=60)
    assert first.returncode == 4, err
    assert "Traceback" not in err
    assert err.splitlines()[-2:] == [
        f"{playbook.host.name}: the connection was lost during operation 'slow' [RI-402]",
        f"next: rocminfra apply -i hosts.py --limit {playbook.host.name}",
    ]


def test_the_status_of_a_bare_droplet_ends_with_7(playbook: Playbook) -> None:
    playbook.write("")
    code, out, err = playbook.run("status", "--json")
    assert code == 7, err
    (host,) = json.loads(out)["hosts"]
    assert {name: part["good"] for name, part in host["parts"].items()} == {
        "gpu": True,
        "scratch": False,
        "docker": False,
        "weights": False,
        "unit": False,
        "container": False,
        "engine": False,
        "benchmark": True,
    }
    # Every part that is not as it should be says what helps, as a whole command.
    assert all(
        part["good"] or str(part["next_command"]).startswith("rocminfra apply -i hosts.py --limit ")
        for part in host["parts"].values()
    )
    assert host["failures"] == []
