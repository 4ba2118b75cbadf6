"""A droplet that serves, day by day: logs, tunnel, chat, events, lock.

One deploy serves all tests of this module; each leaves it serving.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lab_host
import pytest
import schema_check
from deploys import ROOT, rocminfra
from lab_host import LabHost

from rocminfra.lab import hosts as lab_hosts

pytestmark = pytest.mark.lab

MODEL = "Qwen/Qwen2-VL-72B-Instruct"


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    (made,) = lab_host.up(["day-two"])
    try:
        applied = rocminfra(made, "apply", "--yes")
        assert applied.code == 0, applied.err
        yield made
    finally:
        lab_host.down(made.name)


@contextmanager
def running(host: LabHost, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, going on until the end of the block, which interrupts it."""
    command = [sys.executable, "-m", "rocminfra", *words, "-i", "inventory/lab.py"]
    process = subprocess.Popen(
        [*command, "--limit", host.name],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


def test_the_logs_of_the_engine_are_shown_as_people_and_programs_read_them(host: LabHost) -> None:
    shown = rocminfra(host, "logs", "--source", "engine", "--lines", "1000")
    assert shown.code == 0, shown.err
    assert "Application startup complete" in shown.out
    document = json.loads(rocminfra(host, "logs", "--json", "--lines", "3").out)
    assert schema_check.violations(document, "logs") == []
    ((line, *more),) = [one["lines"] for one in document["hosts"]]
    assert (line["source"], line["unit"], len(more)) == ("engine", "vllm.service", 2)
    assert rocminfra(host, "logs", "--since", "2030-01-01").out == ""


def test_logs_that_are_followed_show_what_comes_and_leave_nothing_behind(host: LabHost) -> None:
    with running(host, "logs", "--follow", "--json", "--lines", "1") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["host"] == host.name
        host.ok(
            "python3 -c 'import urllib.request as u; "
            'u.urlopen("http://127.0.0.1:8000/v1/models")\''
        )
        line = json.loads(next(one for one in process.stdout if "GET /v1/models" in one))
        assert line["source"] == "engine"
    for _ in range(50):
        if host.ssh("pgrep -x journalctl").returncode == 1:
            return
        time.sleep(0.1)
    raise AssertionError("journalctl was left running")


def test_one_question_is_answered_through_the_tunnel(host: LabHost) -> None:
    shown = rocminfra(host, "chat", "Hello", "--max-tokens", "5")
    assert shown.code == 0, shown.err
    assert len(shown.out.split()) >= 1
    assert "5 tokens" in shown.err
    document = json.loads(rocminfra(host, "chat", "Hello", "--json", "--max-tokens", "5").out)
    assert schema_check.violations(document, "chat") == []
    assert document["model"] == MODEL
    assert document["reply"]["output_tokens"] == 5
    wrong = rocminfra(host, "chat", "Hello", "--json", "--data", "model.name=unknown")
    assert wrong.code == 3, wrong.err
    assert schema_check.violations(json.loads(wrong.out), "chat") == []


def test_a_tunnel_survives_a_drop_of_its_connection(host: LabHost) -> None:
    with running(host, "tunnel", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().split()[-1]
        client = [process.stdout.readline() for _ in range(5)]
        assert MODEL in client[0]
        assert client[2] == "from openai import OpenAI\n"
        ask = ["curl", "-s", "-m", "30", f"{url}/models"]
        assert MODEL in subprocess.check_output(ask, text=True)
        host.ssh("pkill -KILL -f '^sshd: root@notty$'; pkill -KILL -f '^sshd-session: root'")
        assert MODEL in subprocess.check_output(ask, text=True)
        said = [process.stderr.readline() for _ in range(3)]
        assert said[1] == "the connection was lost; connecting again\n"
        assert said[2].startswith("connected again after ")
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.check_output(ask)


def test_a_port_that_is_taken_is_refused(host: LabHost, tmp_path: Path) -> None:
    with running(host, "tunnel", "--port", "0") as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1].split(":")[-1].removesuffix("/v1")
        second = rocminfra(host, "tunnel", "--port", port)
        assert second.code == 3
        assert f"port {port} of this machine cannot be used" in second.err
        assert second.err.splitlines()[-1].startswith("next: rocminfra tunnel --limit ")


def test_events_say_who_applied_what(host: LabHost) -> None:
    document = json.loads(rocminfra(host, "events", "--json").out)
    assert schema_check.violations(document, "events") == []
    ((first, *_),) = [one["events"] for one in document["hosts"]]
    assert first["command"] == f"rocminfra apply --limit {host.name}"
    assert (first["outcome"], "@" in first["owner"]) == ("done", True)
    assert "tasks/storage.py | Prepare the scratch disk" in first["changed"]
    shown = rocminfra(host, "events", "-v")
    assert "+ tasks/storage.py | Prepare the scratch disk" in shown.out
    assert host.ok("stat -c %a:%U /var/lib/rocminfra/events.jsonl").strip() == "600:root"


def test_a_lock_is_shown_and_broken_with_a_reason(host: LabHost, tmp_path: Path) -> None:
    assert rocminfra(host, "lock").out == f"{host.name}: free\n"
    (tmp_path / "slow.py").write_text(
        "from pyinfra.operations import server\n"
        'server.shell(name="slow", commands="touch /run/slow-started; exec sleep 600")\n'
    )
    data = lab_hosts.data(lab_host.PATHS, host.droplet)
    (tmp_path / "hosts.py").write_text(f"hosts = [({host.name!r}, {data!r})]\n")
    command = [sys.executable, "-m", "rocminfra", "apply", "--yes", "slow.py", "-i", "hosts.py"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    slow = subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if host.ssh("test -e /run/slow-started").returncode == 0:
                break
            time.sleep(0.1)
        document = json.loads(rocminfra(host, "lock", "--json").out)
        assert schema_check.violations(document, "lock") == []
        assert document["hosts"][0]["holder"]["command"] == "rocminfra apply slow.py"
        assert " running" in rocminfra(host, "events").out
        broken = rocminfra(host, "lock", "--break", "nobody waits for it")
        assert broken.code == 0, broken.err
        assert "broken was the lock of rocminfra apply slow.py, by " in broken.err
        assert rocminfra(host, "lock").out == f"{host.name}: free\n"
        assert "no run holds the lock" in rocminfra(host, "lock", "--break", "again").err
        assert ": nobody waits for it" in rocminfra(host, "events").out
    finally:
        slow.send_signal(signal.SIGINT)
        assert slow.wait(timeout=30) == 130
        host.ok("pkill -x sleep; rm -f /run/slow-started; true")
    assert "interrupted after " in rocminfra(host, "events").out


def test_a_break_needs_a_reason_and_a_host(host: LabHost) -> None:
    refused = rocminfra(host, "lock", "--break", " ")
    assert (refused.code, "wants a reason" in refused.err) == (3, True)
