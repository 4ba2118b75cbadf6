"""What counts as ready."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rocminfra.host.installed import readiness
from rocminfra.host.installed.readiness import verdict

ACTIVE = {"ActiveState": "active", "SubState": "running"}


def judge(**changes: Any) -> tuple[str, str]:
    values: dict[str, Any] = {
        "unit": ACTIVE,
        "owners": ["c1"],
        "container": "c1",
        "models": lambda: ["m"],
        "complete": lambda: "x",
        "model": "m",
    }
    return verdict(**{**values, **changes})


def refuse(*_: Any) -> Any:
    raise ConnectionRefusedError("connection refused")


def test_ready() -> None:
    assert judge() == ("ready", "")


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"unit": {"ActiveState": "failed", "Result": "exit-code"}}, "dead", "exit-code"),
        ({"unit": {"ActiveState": "inactive"}}, "dead", "inactive"),
        ({"unit": {}}, "dead", "not installed"),
        ({"unit": {"ActiveState": "activating"}, "container": ""}, "loading", "no container"),
        ({"owners": []}, "loading", "nothing listens"),
        ({"owners": [""]}, "wrong", "another process"),
        ({"owners": ["c1", ""]}, "wrong", "another process"),
        ({"models": refuse}, "loading", "connection refused"),
        ({"models": lambda: ["other"]}, "wrong", "serves other instead of m"),
        ({"complete": refuse}, "loading", "no completion"),
    ],
)
def test_everything_else(changes: dict[str, Any], state: str, reason: str) -> None:
    found = judge(**changes)
    assert found[0] == state
    assert reason in found[1]


def test_a_benchmark_that_runs_gets_no_request_of_ours() -> None:
    """Its points are invalid when the engine has answered more than GuideLLM asked."""
    found = judge(complete=refuse, measured=lambda: True)
    assert found == ("ready", "a benchmark runs, so no completion was asked for")
    assert judge(models=refuse, measured=lambda: True)[0] == "loading"


@pytest.mark.parametrize(
    ("names", "runs"),
    [
        (["invocation:ssh.service", "invocation:rocminfra-bench-20260513T1.service"], True),
        (["invocation:rocminfra-model.service", "log-level-max:rocminfra-bench-1.service"], False),
        ([], False),
    ],
)
def test_active_units_say_whether_a_benchmark_runs(
    tmp_path: Path, names: list[str], runs: bool
) -> None:
    for name in names:
        (tmp_path / name).symlink_to("4f0c")
    assert readiness.benchmark_runs(str(tmp_path)) is runs
    assert readiness.benchmark_runs(str(tmp_path / "none")) is False


def let_wait(*_: Any) -> Any:
    raise TimeoutError("no end of the answer")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Without patience a wait is a wait: a run has a deadline of its own.
        ({"complete": let_wait}, ("loading", "no completion")),
        ({"models": let_wait}, ("loading", "does not answer yet")),
        ({"complete": let_wait, "works": lambda: False}, ("hung", "no token comes")),
        ({"models": let_wait, "works": lambda: False}, ("hung", "does not answer")),
        ({"complete": let_wait, "works": lambda: True}, ("ready", "busy")),
        # What refuses does not hang.
        ({"complete": refuse, "works": lambda: False}, ("loading", "no completion")),
    ],
)
def test_an_engine_that_lets_us_wait(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    state, reason = judge(**changes)
    assert state == expected[0]
    assert expected[1] in reason


METRICS = 'vllm:generation_tokens_total{model_name="m"} %s\nvllm:prompt_tokens_total 7\n'


def test_work_is_seen_in_the_engines_own_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = iter([METRICS % 1, METRICS % 2, METRICS % 2])
    monkeypatch.setattr(readiness, "_exchange", lambda *_: (200, next(pages).encode()))
    first, second, third = (readiness._work(("127.0.0.1", 1)) for _ in range(3))
    assert first == [b"1", b"7"]
    assert first != second == third
    monkeypatch.setattr(readiness, "_exchange", let_wait)
    assert readiness._work(("127.0.0.1", 1)) is None


def test_a_stale_server_beside_ours_is_not_asked_for_a_completion() -> None:
    asked: list[str] = []
    judge(owners=["c1", ""], complete=lambda: asked.append("completion") or "x")
    assert asked == []


class Server(BaseHTTPRequestHandler):
    """Answers as the test said."""

    answers: ClassVar[dict[str, tuple[int, Any]]] = {}

    def do_GET(self) -> None:
        status, document = self.answers[self.path]
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_models_and_completion_over_http(port: int) -> None:
    Server.answers = {
        "/v1/models": (200, {"data": [{"id": "m"}]}),
        "/v1/completions": (200, {"usage": {"completion_tokens": 1}, "choices": [{"text": "y"}]}),
    }
    assert readiness._models(("127.0.0.1", port), 10.0) == ["m"]
    assert readiness._complete(("127.0.0.1", port), "m", 10.0) == "y"


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": "broken"}),
        (200, {"usage": {"completion_tokens": 0}, "choices": [{"text": ""}]}),
        (200, {"usage": {"completion_tokens": 1}, "choices": []}),
        (200, {"message": "another program"}),
        (200, []),
    ],
)
def test_an_error_or_an_empty_completion_is_none(port: int, answer: tuple[int, Any]) -> None:
    Server.answers = {"/v1/completions": answer}
    with pytest.raises(ValueError, match=r"HTTP 500|empty completion|no completion"):
        readiness._complete(("127.0.0.1", port), "m")


def test_a_server_that_keeps_the_connection_open_has_said_how_long_its_answer_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            asked.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
            asked.append(connection.recv(1))  # until the other side closes

        thread = threading.Thread(target=serve)
        thread.start()
        assert readiness._request(("127.0.0.1", server.getsockname()[1]), "/", None, 60) == []
        thread.join()
    assert b"Connection: close" in asked[0]


def test_the_server_is_asked_at_the_address_that_it_listens_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(readiness, "_unit", lambda _: {"ActiveState": "active"})
    monkeypatch.setattr(readiness, "_container", lambda _: ("id", "", 1))
    monkeypatch.setattr(readiness, "_listeners", lambda *_: [1])
    monkeypatch.setattr(readiness, "_container_of", lambda *_: "id")
    monkeypatch.setattr(readiness, "_models", lambda address, _: asked.append(address) or ["m"])
    monkeypatch.setattr(readiness, "_complete", lambda address, *_: asked.append(address))
    given = ["--unit", "u", "--container", "c", "--port", "8000", "--model", "m"]
    assert readiness.main(given) == 0
    assert readiness.main([*given, "--host", "::1"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["state"] == "ready"
    assert asked == [("127.0.0.1", 8000)] * 2 + [("::1", 8000)] * 2


def test_ipv6_is_spoken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

        thread = threading.Thread(target=serve)
        thread.start()
        assert readiness._request(("::1", server.getsockname()[1]), "/", None, 60) == []
        thread.join()


def test_models_in_another_shape_are_none(port: int) -> None:
    Server.answers = {"/v1/models": (200, {"object": "list"})}
    with pytest.raises(ValueError, match="no list of models"):
        readiness._models(("127.0.0.1", port))


def test_an_answer_in_chunks_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = b'5\r\n{"a":\r\n4;x=y\r\n \r\n}\r\n0\r\n\r\n'
    assert readiness._parsed(head + chunked) == (200, b'{"a": \r\n}')


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
def test_half_an_answer_is_none(received: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # int's own text is one of them
        readiness._parsed(received)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--unit", "u"], ["--unit", "u", "--container", "c", "--port", "1", "--model", "m", "-x"]],
)
def test_wrong_options_are_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert readiness.main(arguments) == 2
    assert "usage: readiness.py --unit VALUE" in capsys.readouterr().err


@pytest.fixture
def shared_port() -> Iterator[tuple[int, list[int]]]:
    """A port on which two processes listen side by side, and those."""
    listen = (
        "import socket, sys; s = socket.socket(); "
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); "
        "s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with contextlib.ExitStack() as stack:
        port, pids = 0, []
        for _ in range(2):
            command = [sys.executable, "-c", listen, str(port)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(process)
            assert process.stdin is not None
            assert process.stdout is not None
            stack.callback(process.stdin.close)
            port = int(process.stdout.readline())
            pids.append(process.pid)
        yield port, pids


@pytest.mark.parametrize("first", [0, 1, 1 << 30])
def test_every_process_that_listens_is_found(
    shared_port: tuple[int, list[int]], first: int
) -> None:
    port, pids = shared_port
    assert sorted(readiness._listeners(port, first)) == sorted(pids)
    assert readiness._listeners(1, first) == []


def test_only_as_many_processes_are_looked_at_as_needed(
    shared_port: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, pids = shared_port
    looked_at: list[int] = []

    def sockets(pid: int) -> list[str]:
        looked_at.append(pid)
        return list(real(pid))

    real = readiness._sockets
    monkeypatch.setattr(readiness, "_sockets", sockets)
    monkeypatch.setattr(readiness, "_pids", lambda: [1, *pids, os.getpid(), 1 << 30])
    assert readiness._listeners(port, min(pids)) == sorted(pids)
    assert looked_at == sorted(pids)


def test_a_container_is_what_docker_says(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"Id": "c1", "State": {"Running": True, "Pid": 7}, "Config": {"Labels": None}}
    asked: list[list[str]] = []

    def run(command: list[str]) -> str:
        asked.append(command)
        return json.dumps([document])

    monkeypatch.setattr(readiness, "_run", run)
    assert readiness._container("vllm") == ("c1", "", 7)
    document["State"] = {"Running": False}
    assert readiness._container("vllm") == ("", "", 0)
    monkeypatch.setattr(readiness, "_run", lambda _command: "")
    assert readiness._container("vllm") == ("", "", 0)
    monkeypatch.setattr(readiness, "_run", lambda _command: '[{"Id": "c1"}]')
    assert readiness._container("vllm") == ("", "", 0)
    assert asked[0] == ["docker", "inspect", "--type", "container", "vllm"]
