"""A droplet that serves, day by day: logs, tunnel, chat, events, lock, remove.

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
from typing import Any

import lab_host
import pytest
import schema_check
from deploys import IDENTITY, ROOT, rocminfra
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
        host.ok("pkill -f '^sleep 60$'; rm -f /run/slow-started; true")
    assert "interrupted after " in rocminfra(host, "events").out


def test_a_break_needs_a_reason_and_a_host(host: LabHost) -> None:
    refused = rocminfra(host, "lock", "--break", " ")
    assert (refused.code, "wants a reason" in refused.err) == (3, True)


# What a deploy leaves anywhere but on the scratch disk, and on it (without what a daemon writes).
DATA = (
    "cd /mnt/models && find . -path ./docker -prune -o -type f -print0 | sort -z | "
    "xargs -0 sha256sum"
)
OURS = (
    "find / -xdev -iname '*rocminfra*' -not -path '/proc/*' -not -path '/srv/*' "
    "-not -path '*rocminfra-lab*' | sort"
)


def removed(host: LabHost, *words: str) -> dict[str, Any]:
    """One host's part of what remove answers."""
    run = rocminfra(host, "remove", "--json", *words)
    document = json.loads(run.out)
    assert schema_check.violations(document, "remove") == []
    assert run.code == document["code"]
    (found,) = document["hosts"]
    return {**found, "code": run.code}


def test_a_removal_is_planned_first_and_asks(host: LabHost) -> None:
    before = host.ok(IDENTITY)
    planned = removed(host, "--plan")
    assert (planned["code"], planned["removed"]) == (0, False)
    kinds = [step["kind"] for step in planned["steps"]]
    assert kinds[:3] == ["stop", "file", "packages"]
    assert kinds[-4:] == ["unmount", "fstab", "mount-point", "state"]
    assert [kept["what"] for kept in planned["kept"]] == [
        "all data on the scratch disk: models, caches, images"
    ]
    refused = rocminfra(host, "remove")
    assert refused.code == 3
    assert "no terminal to ask on" in refused.err
    assert host.ok(IDENTITY) == before


def test_what_somebody_else_uses_stays(host: LabHost) -> None:
    """A container, then a changed file, then work under way: each keeps what it needs."""
    host.ok("docker run -d --name theirs --entrypoint sleep vllm/vllm-openai-rocm:v0.20.1 1000")
    kept = {one["what"]: one["why"] for one in removed(host, "--plan")["kept"]}
    assert kept["Docker, with its configuration"] == "it has other containers: theirs"
    assert "/mnt/models, mounted and in fstab" in kept
    host.ok("docker rm -f theirs; echo '# mine' >>/etc/profile.d/rocminfra.sh")
    kept = {one["what"]: one["why"] for one in removed(host, "--plan")["kept"]}
    assert kept["/etc/profile.d/rocminfra.sh"] == "it is not as apply left it"
    assert "Docker, with its configuration" not in kept
    host.ok("sed -i '$d' /etc/profile.d/rocminfra.sh")
    host.ok("systemd-run --quiet --unit=rocminfra-prefetch sleep 1000")
    busy = removed(host, "--yes")
    assert (busy["code"], busy["failures"][0]["fault"]) == (9, "RI-902")
    host.ok("systemctl stop rocminfra-prefetch")


def test_a_step_that_cannot_be_taken_stops_the_removal_and_the_next_one_ends_it(
    host: LabHost,
) -> None:
    data, fstab = host.ok(DATA), host.ok("cat /etc/fstab")
    uuid = host.ok("blkid -p -s UUID -o value /dev/vdc")
    host.ok("echo 'tmpfs /srv/theirs tmpfs noauto 0 0 # theirs' >>/etc/fstab")
    host.ok("cd /mnt/models && (nohup sleep 999 </dev/null >/dev/null 2>&1 &)")
    stopped = removed(host, "--yes")
    (failure,) = stopped["failures"]
    assert (stopped["code"], failure["fault"]) == (5, "RI-542")
    assert "in use by sleep (" in failure["why"][0]
    assert failure["next_command"].startswith("rocminfra remove ")
    assert host.ok("findmnt -n -o FSTYPE --mountpoint /mnt/models").strip() == "xfs"
    host.ok("pkill -f '^sleep 999$'")
    done = removed(host, "--yes")
    assert (done["code"], done["failures"]) == (0, []), done
    assert host.ok(OURS) == ""
    gone = "command -v docker || findmnt /mnt/models || test -e /mnt/models"
    assert host.ssh(gone).returncode != 0
    assert host.ssh("test -e /etc/docker/daemon.json").returncode != 0
    theirs = "tmpfs /srv/theirs tmpfs noauto 0 0 # theirs\n"
    assert (
        host.ok("cat /etc/fstab")
        == "".join(line for line in fstab.splitlines(keepends=True) if "/mnt/models" not in line)
        + theirs
    )
    assert host.ok("systemctl list-units --failed --no-legend --plain") == ""
    assert host.ok("blkid -p -s UUID -o value /dev/vdc") == uuid
    host.ok("mkdir /mnt/models && mount -t xfs -o ro /dev/vdc /mnt/models")
    assert host.ok(DATA) == data, "no byte of the data has changed"
    assert host.ok("ls /mnt/models/docker") != ""
    host.ok("umount /mnt/models && rmdir /mnt/models")
    again = removed(host, "--yes")
    assert (again["code"], again["failures"][0]["fault"]) == (5, "RI-541")


def test_apply_brings_everything_back(host: LabHost) -> None:
    back = rocminfra(host, "apply", "--yes")
    assert back.code == 0, back.err
    status = rocminfra(host, "status")
    assert status.code == 0, status.out + status.err
