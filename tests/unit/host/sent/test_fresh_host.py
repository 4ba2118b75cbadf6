"""The program that looks at a fresh machine, on this one."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from rocminfra.facts.fresh_host import FreshHost, parse
from rocminfra.host.programs import source
from rocminfra.host.sent import fresh_host
from rocminfra.host_answers import answer


def test_its_document_is_what_the_fact_reads() -> None:
    fact = FreshHost()
    done = subprocess.run(["sh", "-c", fact.command()], capture_output=True, text=True, check=True)
    seen = fact.process(done.stdout.splitlines())
    assert seen.problem is None
    plain = answer(done.stdout.splitlines())
    assert plain is not None
    assert seen == parse(json.loads("".join(plain)))


def test_a_host_without_python_is_said() -> None:
    seen = FreshHost().process(["exit code 127"])
    assert seen.problem == "exit code 127"
    assert seen.cloud_init == "unknown"


def test_every_look_is_a_command_of_its_own() -> None:
    assert FreshHost().command(1.5) != FreshHost().command(2.5)
    assert "'" not in source("fresh_host")


def test_who_holds_a_lock_is_told_without_taking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    monkeypatch.setattr(fresh_host, "LOCKS", (str(lock), str(tmp_path / "none")))
    assert fresh_host.apt_holders() == []
    code = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
    code += "print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    (found,) = fresh_host.apt_holders()
    assert found["pid"] == holder.pid
    assert str(found["command"]).startswith(f"{sys.executable} -c import fcntl")
    holder.communicate(b"")
    assert fresh_host.apt_holders() == []
    with lock.open("w") as file:  # nobody else's now
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_cloud_init_that_runs_and_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = tmp_path / "result.json"
    monkeypatch.setattr(fresh_host, "CLOUD_INIT_RESULT", str(result))
    program = tmp_path / "cloud-init"
    program.write_text("#!/bin/sh\necho 'status: running'\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert fresh_host.cloud_init()["status"] == "running"
    program.write_text("#!/bin/sh\necho 'WARNING: cloud-config'\necho 'status: not started'\n")
    assert fresh_host.cloud_init()["status"] == "not started"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert fresh_host.cloud_init()["status"] == "unknown"
    result.write_text('{"v1": {"errors": []}}')
    assert fresh_host.cloud_init() == {"status": "done", "errors": []}
    result.write_text('{"v1": {"errors": ["no module"]}}')
    assert fresh_host.cloud_init() == {"status": "error", "errors": ["no module"]}


def test_a_pending_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = tmp_path / "reboot-required"
    monkeypatch.setattr(fresh_host, "REBOOT", str(flag))
    assert fresh_host.reboot() is None
    flag.touch()
    assert fresh_host.reboot() == []
    (tmp_path / "reboot-required.pkgs").write_text("libc6\nlinux-base\nlibc6\n")
    assert fresh_host.reboot() == ["libc6", "linux-base"]


def test_a_container_as_docker_inspect_says_it() -> None:
    document = {
        "Name": "/rocm",
        "Config": {"Image": "rocm/vllm", "Labels": {"a": "b"}},
        "HostConfig": {"NetworkMode": "bridge", "Devices": [{"PathOnHost": "/dev/kfd"}]},
        "NetworkSettings": {"Ports": {"8000/tcp": [{"HostIp": "", "HostPort": "8000"}], "9": None}},
    }
    assert fresh_host.container(document) == {
        "name": "rocm",
        "image": "rocm/vllm",
        "labels": ["a"],
        "ports": [8000],
        "host_network": False,
        "gpu": True,
    }
    assert fresh_host.container({})["gpu"] is False


def test_docker_is_asked_over_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docker.sock"
    units = tmp_path / "units"
    units.mkdir()
    (units / "invocation:docker.service").symlink_to("1")
    monkeypatch.setattr(fresh_host, "DOCKER", str(path))
    monkeypatch.setattr(fresh_host, "ACTIVE_UNITS", str(units))
    assert fresh_host.containers() == []
    answers = {
        b"/containers/json": [{"Id": "abc"}],
        b"/containers/abc/json": {"Name": "/rocm", "HostConfig": {"Privileged": True}},
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for _ in answers:
                connection, _address = server.accept()
                with connection:
                    asked = connection.recv(65536).split()[1]
                    body = json.dumps(answers[asked]).encode()
                    connection.sendall(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n" + body)

        thread = threading.Thread(target=serve)
        thread.start()
        (found,) = fresh_host.containers()
        thread.join()
    assert (found["name"], found["gpu"]) == ("rocm", True)
    assert fresh_host.containers() == []  # a socket that nobody listens on


def test_a_docker_without_a_unit_is_asked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a snap, or started by hand; nothing can be started by asking it."""
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(fresh_host, "DOCKER", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(fresh_host, "ACTIVE_UNITS", str(tmp_path / "units"))
    assert not fresh_host.would_start()
    (tmp_path / "units/invocation:docker.socket").symlink_to("1")
    assert fresh_host.would_start()
    (tmp_path / "units/invocation:docker.service").symlink_to("1")
    assert not fresh_host.would_start()


@pytest.mark.parametrize("is_podman", [False, True])
def test_a_docker_that_is_off_is_not_started_by_asking_it(
    is_podman: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = tmp_path / "podman.sock", tmp_path / "docker.sock"
    if is_podman:
        asked.symlink_to(path)
    else:
        path = asked
        (tmp_path / "invocation:docker.socket").symlink_to("1")
    monkeypatch.setattr(fresh_host, "DOCKER", str(asked))
    monkeypatch.setattr(fresh_host, "ACTIVE_UNITS", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.setblocking(False)
        assert fresh_host.containers() == []
        with pytest.raises(BlockingIOError):
            server.accept()


def test_what_is_mounted_for_reading_only_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"/etc": os.ST_RDONLY | os.ST_NOSUID, "/var/lib": os.ST_NOATIME}

    def statvfs(path: str) -> SimpleNamespace:
        if path not in flags:
            raise FileNotFoundError(path)
        return SimpleNamespace(f_flag=flags[path])

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert fresh_host.read_only() == ["/etc"]
