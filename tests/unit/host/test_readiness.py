"""What counts as ready."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from rocminfra.host import readiness
from rocminfra.host.readiness import verdict

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
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_models_and_completion_over_http(base: str) -> None:
    Server.answers = {
        "/v1/models": (200, {"data": [{"id": "m"}]}),
        "/v1/completions": (200, {"usage": {"completion_tokens": 1}, "choices": [{"text": "y"}]}),
    }
    assert readiness._models(base) == ["m"]
    assert readiness._complete(base, "m") == "y"


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": "broken"}),
        (200, {"usage": {"completion_tokens": 0}, "choices": [{"text": ""}]}),
    ],
)
def test_an_error_or_an_empty_completion_is_none(base: str, answer: tuple[int, Any]) -> None:
    Server.answers = {"/v1/completions": answer}
    with pytest.raises(ValueError, match=r"HTTP 500|empty completion"):
        readiness._complete(base, "m")
