"""Docker over its socket: the same answers as the docker program's, or none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocminfra.facts.docker import DockerContainer, DockerImage, DockerRoot, NoAnswer
from rocminfra.host.programs import source
from rocminfra.host.sent import docker_api


class Daemon:
    """Answers as the test said; what was asked is in ``asked``."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def answer(self, path: str, document: object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.answers[path] = b"HTTP/1.0 %d X\r\nContent-Type: application/json\r\n\r\n" % status
        self.answers[path] += body

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                path = connection.recv(4096).decode().split(" ")[1]
                self.asked.append(path)
                connection.sendall(self.answers.get(path, b""))


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon, on a machine with a docker program and nothing that chooses another daemon."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(docker_api, "SOCKET", str(tmp_path / "docker.sock"))
    program = tmp_path / "docker"
    program.write_text('#!/bin/sh\necho "the program: $*"\n')
    program.chmod(0o755)
    made = Daemon(tmp_path / "docker.sock")
    yield made
    made.close()


def test_root_image_and_container(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answer("/info", {"DockerRootDir": "/mnt/models/docker"})
    daemon.answer("/images/vllm/vllm-openai-rocm:v0.20.1/json", {"Id": "sha256:1"})
    daemon.answer("/containers/none/json", {"message": "no such container"}, 404)
    assert docker_api.main(["root"]) == 0
    assert docker_api.main(["image", "vllm/vllm-openai-rocm:v0.20.1"]) == 0
    assert docker_api.main(["container", "none"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "/mnt/models/docker",
        '[{"Id": "sha256:1"}]',
        "[]",
    ]


def test_of_a_container_only_what_is_needed(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = {
        "Id": "c1",
        "Image": "sha256:1",
        "State": {"Running": True, "StartedAt": "2026-05-13T10:00:00.1Z"},
        "Config": {"Labels": {"rocminfra.config": "abc"}},
    }
    whole = {
        **needed,
        "State": {**needed["State"], "Pid": 7},  # type: ignore[dict-item]
        "Config": {**needed["Config"], "Env": ["A=1"]},  # type: ignore[dict-item]
        "Mounts": [{}],
    }
    daemon.answer("/containers/vllm/json", whole)
    assert docker_api.main(["container", "vllm"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == [needed]
    read = DockerContainer().process(printed.splitlines())
    assert read == DockerContainer().process(json.dumps([whole]).splitlines())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 200 OK\r\n\r\n{half",
        b"HTTP/1.0 500 X\r\n\r\n{}",
        b'HTTP/1.0 404 X\r\n\r\n{"message": "page not found"}',
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b"SSH-2.0-x",
    ],
)
def test_anything_else_is_no_answer(
    daemon: Daemon, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    daemon.answers = {"/info": answer, "/containers/c/json": answer}
    assert docker_api.main(["root"]) == 1
    assert docker_api.main(["container", "c"]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a?b", "a b", "a%2Fb", "../info", "ü", ""])
def test_a_name_that_would_be_another_path_is_not_asked(daemon: Daemon, name: str) -> None:
    assert docker_api.main(["container", name]) == 1
    assert daemon.asked == []


def test_another_daemon_is_the_docker_programs_to_ask(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://203.0.113.1:2375")
    assert docker_api.main(["root"]) == 1
    monkeypatch.delenv("DOCKER_HOST")
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "far"}')
    assert docker_api.main(["root"]) == 1
    assert daemon.asked == []


def test_a_host_without_docker_says_nothing(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docker").unlink()
    (tmp_path / "docker.sock").unlink()
    if any(os.access(f"{folder}/docker", os.X_OK) for folder in ("/usr/bin", "/bin")):
        pytest.skip("this machine has Docker itself")
    assert docker_api.main(["root"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (DockerRoot().command(), "the program: info --format {{.DockerRootDir}}"),
        (DockerImage().command("a b"), "the program: inspect --type image a b"),
        (DockerContainer().command("c"), "the program: inspect --type container c"),
    ],
)
def test_the_docker_program_is_asked_when_the_socket_does_not_answer(
    tmp_path: Path, daemon: Daemon, command: object, said: str
) -> None:
    # DOCKER_HOST, because the command's own socket may be there on this machine.
    done = subprocess.run(
        ["sh", "-c", str(command)],
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")
    (tmp_path / "docker").unlink()


def test_it_is_sent_without_a_single_quote() -> None:
    assert "'" not in source("docker_api")


@pytest.mark.parametrize(
    ("service", "version", "is_unknown"),
    [("active", 1, True), ("active", 0, False), ("off", 1, False)],
)
def test_a_daemon_that_hangs_is_told_from_one_that_has_none_and_from_one_that_is_off(
    tmp_path: Path, service: str, version: int, is_unknown: bool
) -> None:
    for name, script in {
        "docker": f'case $1 in version) exit {version};; inspect) echo "[]";; esac; exit 1',
        "systemctl": f"test {service} = active",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", str(DockerContainer().command("vllm"))],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    read = DockerContainer().process(done.stdout.splitlines())
    assert read == (NoAnswer() if is_unknown else None)
