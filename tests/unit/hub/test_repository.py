"""What the hub says of a repository, and that the token stays with the hub."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rocminfra.hub.repository import ATTEMPTS, File, Hub, HubError, parse_listing

TOKEN = "hf_onlyHere"
COMMIT = "1" * 40
SIBLINGS = [
    {"rfilename": "model.safetensors", "size": 7, "lfs": {"sha256": "ab", "size": 7}},
    {"rfilename": "config.json", "size": 2},
]


@dataclass
class Server:
    """Answers what a test says, and keeps what it was asked."""

    url: str = ""
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    made, running = [], []
    for _ in range(2):
        server = Server()

        class Handler(BaseHTTPRequestHandler):
            own = server

            def do_GET(self) -> None:
                self.own.asked.append((self.path, self.headers.get("Authorization")))
                code, body, headers = self.own.answers.get(self.path, (404, b"", {}))
                self.send_response(code)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        made.append(server)
        running.append(http)
    yield made[0], made[1]
    for http in running:
        http.shutdown()
        http.server_close()


def hub(server: Server, token: str | None = TOKEN) -> Hub:
    return Hub(server.url, token, sleep=lambda _s: None)


LIST = "/api/models/acme/a/revision/main?blobs=true"
CONFIG = f"/acme/a/resolve/{COMMIT}/config.json"


def test_a_listing_has_commit_files_and_sizes(servers: tuple[Server, Server]) -> None:
    server = servers[0]
    answer = json.dumps({"sha": COMMIT, "siblings": SIBLINGS}).encode()
    server.answers[LIST] = (200, answer, {})
    server.answers["/api/models/acme/a/revision/refs%2Fpr%2F1?blobs=true"] = (200, answer, {})
    listing = hub(server).listing("acme/a")
    assert listing.commit == COMMIT
    assert listing.files == (File("config.json", 2), File("model.safetensors", 7, "ab"))
    assert listing.total_bytes == 9
    assert hub(server).listing("acme/a", "refs/pr/1") == listing
    assert server.asked[0] == (LIST, f"Bearer {TOKEN}")


def test_a_size_that_is_not_told_is_not_guessed() -> None:
    text = json.dumps({"sha": COMMIT, "siblings": [{"rfilename": "a"}, *SIBLINGS]})
    assert parse_listing("acme/a", text.encode()).total_bytes is None


@pytest.mark.parametrize("status", [301, 302, 307])
def test_the_token_goes_to_no_other_server(servers: tuple[Server, Server], status: int) -> None:
    """As the hub sends on to its content delivery network; and within itself, for `config.json`."""
    first, other = servers
    first.answers[CONFIG] = (status, b"", {"Location": "/api/resolve-cache/config.json"})
    first.answers["/api/resolve-cache/config.json"] = (
        *(status, b""),
        {"Location": f"{other.url}/signed"},
    )
    other.answers["/signed"] = (200, b"{}", {})
    assert hub(first).file("acme/a", COMMIT, "config.json") == b"{}"
    assert [token for _, token in first.asked] == [f"Bearer {TOKEN}"] * 2
    assert other.asked == [("/signed", None)]


@pytest.mark.parametrize(
    ("code", "token", "kind", "words"),
    [
        (401, None, "denied", "no token was given"),
        (403, TOKEN, "denied", "the token may not read it"),
        (404, TOKEN, "absent", "does not have it"),
        (418, TOKEN, "odd", "answers 418"),
    ],
)
def test_a_refusal_is_of_its_kind_and_without_the_token(
    servers: tuple[Server, Server], code: int, token: str | None, kind: str, words: str
) -> None:
    servers[0].answers[LIST] = (code, b"", {})
    with pytest.raises(HubError) as error:
        hub(servers[0], token).listing("acme/a")
    assert (error.value.kind, len(servers[0].asked)) == (kind, 1)
    assert words in str(error.value)
    assert TOKEN not in str(error.value)


def test_a_busy_hub_is_asked_again_and_one_that_stays_so_is_unreachable(
    servers: tuple[Server, Server],
) -> None:
    servers[0].answers[LIST] = (503, b"", {})
    with pytest.raises(HubError) as error:
        hub(servers[0]).listing("acme/a")
    assert (error.value.kind, len(servers[0].asked)) == ("unreachable", ATTEMPTS)


def test_nobody_at_the_address_is_unreachable() -> None:
    naps: list[float] = []
    with pytest.raises(HubError) as error:
        Hub("http://127.0.0.1:9", sleep=naps.append).listing("acme/a")
    assert error.value.kind == "unreachable"
    assert "127.0.0.1:9" in str(error.value)
    assert len(naps) == ATTEMPTS - 1


def test_one_that_did_not_answer_is_not_asked_for_every_host() -> None:
    naps: list[float] = []
    patient = Hub("http://127.0.0.1:9", sleep=naps.append)
    planning = Hub("http://127.0.0.1:9", sleep=naps.append, gives_up=True)
    for one, expected in ((planning, ATTEMPTS - 1), (patient, 2 * (ATTEMPTS - 1))):
        naps.clear()
        said = set()
        for _ in range(2):
            with pytest.raises(HubError) as error:
                one.listing("acme/a")
            said.add((error.value.kind, str(error.value)))
        assert (len(said), len(naps)) == (1, expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>sign in to the wireless network</html>",
        "[]",
        "{}",
        '{"sha": "", "siblings": []}',
        '{"sha": "../x", "siblings": []}',
        '{"sha": "1", "siblings": [{"rfilename": "../../etc/passwd"}]}',
        '{"sha": "1", "siblings": [{"rfilename": "/etc/passwd"}]}',
        '{"sha": "1", "siblings": [7]}',
    ],
)
def test_an_answer_of_something_else_is_no_listing(text: str) -> None:
    with pytest.raises(HubError) as error:
        parse_listing("acme/a", text.encode())
    assert error.value.kind == "odd"


def test_an_answer_that_was_cut_off_is_asked_for_again(servers: tuple[Server, Server]) -> None:
    server, whole = servers[0], b'{"a": 1}'
    server.answers[CONFIG] = (200, whole[:3], {"Content-Length": str(len(whole))})
    with pytest.raises(HubError, match="was cut off: 5 bytes of its answer did not come") as caught:
        hub(server).file("acme/a", COMMIT, "config.json")
    assert caught.value.kind == "unreachable"
    assert len(server.asked) == ATTEMPTS
    # A part that was asked for is whole, whether the server knows ranges or not.
    server.answers[CONFIG] = (200, whole, {})
    assert hub(server).file("acme/a", COMMIT, "config.json", most=3) == whole[:3]


@pytest.mark.parametrize("code", [301, 307, 308])
def test_a_repository_that_was_renamed_is_found(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    # As before Python 3.11, which is on hosts with Ubuntu 22.04.
    monkeypatch.delattr(urllib.request.HTTPRedirectHandler, "http_error_308")
    server = servers[0]
    moved = "/api/models/acme/b/revision/main?blobs=true"
    server.answers[LIST] = (code, b"", {"Location": moved})
    server.answers[moved] = (200, json.dumps({"sha": COMMIT, "siblings": SIBLINGS}).encode(), {})
    assert hub(server).listing("acme/a").commit == COMMIT
    assert server.asked[-1] == (moved, f"Bearer {TOKEN}")


def test_a_revision_that_is_not_there_is_named(servers: tuple[Server, Server]) -> None:
    with pytest.raises(HubError, match=r"acme/a at v9: .* does not have it"):
        hub(servers[0]).listing("acme/a", "v9")


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"size": 7, "lfs": {"size": 9}}, 7),
        ({"lfs": {"sha256": "ab", "size": 9}}, 9),
        ({"size": None, "lfs": {"size": 9}}, 9),
        ({"size": "7", "lfs": {"size": True}}, None),
        ({"size": -1, "lfs": None}, None),
    ],
)
def test_a_size_may_stand_beside_the_hash_alone(item: dict[str, Any], size: int | None) -> None:
    answer = json.dumps({"sha": COMMIT, "siblings": [{"rfilename": "a", **item}]}).encode()
    listing = parse_listing("acme/a", answer)
    assert [file.size for file in listing.files] == [size]
    assert listing.total_bytes == size


@pytest.mark.parametrize("sha", [None, "", 5, ["a"], "../x", "a/b"])
def test_a_listing_without_a_commit_is_odd(sha: Any) -> None:
    with pytest.raises(HubError) as caught:
        parse_listing("acme/a", json.dumps({"sha": sha, "siblings": SIBLINGS}).encode())
    assert caught.value.kind == "odd"
