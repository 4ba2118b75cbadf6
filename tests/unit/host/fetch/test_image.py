"""An image's fetch: the registry's sizes against the disk, a daemon that hangs, logins kept."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.fetch import docker_api, image
from rocminfra.host.fetch.supervised import GivenUpError, Patience, Status

QUICK = Patience(stall_s=0.5, pause_s=0.01, look_s=0.05)
GB = 10**9
LAYERS = {"schemaVersion": 2, "layers": [{"size": 3 * GB}, {"size": GB}]}
LIST = {
    "manifests": [
        {"digest": "sha256:arm", "platform": {"architecture": "arm64", "os": "linux"}},
        {"digest": "sha256:amd", "platform": {"architecture": "amd64", "os": "linux"}},
        {"digest": "sha256:att", "platform": {"architecture": "unknown", "os": "unknown"}},
    ]
}
# What Docker's client says: from files, so that a test decides.
CLIENT = """#!/bin/sh
echo "$@" >> "$HERE/asked"
case "$1 $2" in
"image inspect") test -e "$HERE/there";;
"info -f") echo "$HERE";;
"manifest inspect") shift 2; test "$1" != --insecure || shift
    cat "$HERE/manifest-$(echo "$1" | tr '/:@' '___')";;
"load --quiet") test -z "$BROKEN" && touch "$HERE/there";;
esac
"""


class Daemon:
    """Answers pulls with lines of a test, and keeps what it was asked."""

    def __init__(self, there: Path) -> None:
        self.there = there
        self.asked: list[tuple[str, dict[str, Any]]] = []
        # For each pull: lines, seconds between them, and whether the image is there afterwards.
        self.pulls: list[tuple[list[dict[str, Any]], float, bool]] = []
        self.status = 200

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        login = json.loads(base64.urlsafe_b64decode(handler.headers["X-Registry-Auth"]))
        self.asked.append((handler.path, login))
        handler.send_response(self.status)
        handler.end_headers()
        lines, pause, is_there = self.pulls.pop(0)
        for line in lines:
            handler.wfile.write(json.dumps(line).encode() + b"\r\n")
            handler.wfile.flush()
            time.sleep(pause)
        if is_there:
            self.there.touch()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "there")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.handle(self)

        def address_string(self) -> str:
            return "client"

        def log_message(self, *_: Any) -> None:
            pass

    path = tmp_path / "docker.sock"
    server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(docker_api, "SOCKET", str(path))
    client = tmp_path / "bin" / "docker"
    client.parent.mkdir()
    client.write_text(CLIENT)
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setattr(image, "free_bytes", lambda _folder: 9 * GB)
    yield made
    server.shutdown()
    server.server_close()


def says(folder: Path, reference: str, manifest: object) -> None:
    name = reference.translate(str.maketrans("/:@", "___"))
    (folder / f"manifest-{name}").write_text(json.dumps(manifest))


def fetch(folder: Path, reference: str = "acme/vllm:v1", archive: str | None = None) -> Any:
    status = folder / "job.status"
    image.fetch(reference, archive, Status(str(status)), QUICK)
    return json.loads(status.read_text()) if status.exists() else {}


def layer(name: str, current: int) -> dict[str, Any]:
    detail = {"current": current, "total": 3 * GB}
    return {"status": "Downloading", "id": name, "progressDetail": detail}


WHOLE = ([layer("a", GB), layer("a", 3 * GB), layer("b", GB)], 0.0, True)


def test_bytes_are_counted_by_layer(daemon: Daemon, tmp_path: Path) -> None:
    says(tmp_path, "acme/vllm:v1", LAYERS)
    daemon.pulls = [WHOLE]
    assert fetch(tmp_path) == {"total": 4 * GB, "done": 4 * GB, "note": ""}
    assert daemon.asked == [("/images/create?fromImage=acme%2Fvllm&tag=v1", {})]
    assert fetch(tmp_path)  # there already: nobody is asked
    assert len(daemon.asked) == 1


@pytest.mark.parametrize("free", [8 * GB - 1, 8 * GB])
def test_room_is_looked_for_before_the_first_byte(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    monkeypatch.setattr(image, "free_bytes", lambda _folder: free)
    monkeypatch.setattr(image.os, "uname", lambda: type("U", (), {"machine": "x86_64"}))
    says(tmp_path, "acme/vllm:v1", LIST)
    says(tmp_path, "acme/vllm@sha256:amd", LAYERS)
    daemon.pulls = [WHOLE]
    if free == 8 * GB:
        fetch(tmp_path)
        return
    with pytest.raises(GivenUpError) as error:
        fetch(tmp_path)
    assert error.value.kind == "space"
    assert str(error.value) == (
        "acme/vllm:v1 needs at least 8.0 GB (4.0 GB packed), and 8.0 GB are free for Docker; "
        "nothing was pulled"
    )
    assert daemon.asked == []


@pytest.mark.parametrize(
    "manifest",
    [
        *(None, [], {}, {"manifests": []}, {"layers": [{}]}, "x", {"layers": None}),
        *({"manifests": None}, {"manifests": [None]}, {"manifests": [{"platform": None}]}),
    ],
)
def test_sizes_that_the_registry_does_not_say_are_no_obstacle(
    daemon: Daemon, tmp_path: Path, manifest: object
) -> None:
    if manifest is not None:
        says(tmp_path, "acme/vllm:v1", manifest)
    daemon.pulls = [WHOLE]
    assert fetch(tmp_path)["total"] is None


def test_a_pull_in_which_nothing_arrives_is_tried_again_and_then_an_error(
    daemon: Daemon, tmp_path: Path
) -> None:
    """Also when Docker repeats itself."""
    stalled = ([layer("a", 1)] * 20, 0.1, False)
    daemon.pulls = [stalled, WHOLE]
    fetch(tmp_path)
    (tmp_path / "there").unlink()
    daemon.pulls = [stalled] * 3
    with pytest.raises(GivenUpError) as error:
        fetch(tmp_path)
    assert error.value.kind == "stalled"
    assert "3 times in a row" in str(error.value)


def test_a_daemon_that_goes_down_in_a_pull_has_not_pulled(daemon: Daemon, tmp_path: Path) -> None:
    cut = ([layer("a", 1)], 0.0, False)
    daemon.pulls = [cut, WHOLE]
    fetch(tmp_path)
    (tmp_path / "there").unlink()
    daemon.pulls = [cut] * 3
    with pytest.raises(GivenUpError, match="Docker ended the pull without the image"):
        fetch(tmp_path)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("pull access denied for x, repository does not exist or may require", "denied"),
        ("unauthorized: authentication required", "denied"),
        ("manifest for x:v9 not found: manifest unknown", "absent"),
        ("dial tcp: lookup registry.invalid: no such host", "absent"),
        ("no matching manifest for linux/amd64 in the manifest list entries", "absent"),
        ("name unknown: repository name not known to registry", "absent"),
        ("Head https://r.example/v2/x: no basic auth credentials", "denied"),
        ("error parsing HTTP 403 response body: 403 Forbidden", "denied"),
    ],
)
@pytest.mark.parametrize("where", ["answer", "stream"])
def test_what_will_not_get_better_is_not_tried_again(
    daemon: Daemon, tmp_path: Path, said: str, kind: str, where: str
) -> None:
    daemon.status = 500 if where == "answer" else 200
    daemon.pulls = [([{"message": said} if where == "answer" else {"error": said}], 0.0, False)]
    with pytest.raises(GivenUpError) as error:
        fetch(tmp_path)
    assert (error.value.kind, len(daemon.asked)) == (kind, 1)
    assert said in str(error.value)


def test_a_signed_address_that_runs_out_in_the_middle_is_asked_for_again(
    daemon: Daemon, tmp_path: Path
) -> None:
    some = {"id": "a", "status": "Downloading", "progressDetail": {"current": 5, "total": 9}}
    refused = {"error": "unexpected status: 403 Forbidden"}
    daemon.pulls = [([some, refused], 0.0, False), WHOLE]
    fetch(tmp_path)
    assert len(daemon.asked) == 2


def test_other_errors_are_tried_again(daemon: Daemon, tmp_path: Path) -> None:
    broken = ([{"error": "unexpected EOF"}], 0.0, False)
    daemon.pulls = [broken, broken, WHOLE]
    fetch(tmp_path)
    assert len(daemon.asked) == 3


@pytest.mark.parametrize(
    ("reference", "server"),
    [
        ("acme/vllm:v1", "https://index.docker.io/v1/"),
        ("vllm", "https://index.docker.io/v1/"),
        ("registry.example:5000/acme/vllm:v1", "registry.example:5000"),
        ("localhost/vllm@sha256:0", "localhost"),
    ],
)
def test_the_login_of_its_registry_goes_along_and_nowhere_else(
    daemon: Daemon, tmp_path: Path, reference: str, server: str
) -> None:
    (tmp_path / ".docker").mkdir()
    auth = base64.b64encode(b"me:pass:word").decode()
    config = {"auths": {server: {"auth": auth}, "other.example": {"auth": "eDp5"}}}
    (tmp_path / ".docker/config.json").write_text(json.dumps(config))
    daemon.pulls = [WHOLE]
    fetch(tmp_path, reference)
    login = {"username": "me", "password": "pass:word", "serveraddress": server}
    assert daemon.asked[0][1] == login
    assert "pass:word" not in (tmp_path / "job.status").read_text()
    assert "pass:word" not in (tmp_path / "asked").read_text()


def test_a_credential_helper_is_asked(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"credsStore": "box"}))
    helper = tmp_path / "bin" / "docker-credential-box"
    helper.write_text('#!/bin/sh\ncat >&2; echo \'{"Username": "<token>", "Secret": "s"}\'\n')
    helper.chmod(0o755)
    daemon.pulls = [WHOLE]
    fetch(tmp_path, "r.example/vllm")
    assert daemon.asked[0][1] == {"identitytoken": "s", "serveraddress": "r.example"}


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("vllm", ("vllm", "latest")),
        ("a/vllm:v1", ("a/vllm", "v1")),
        ("r:5000/vllm", ("r:5000/vllm", "latest")),
        ("r:5000/vllm:v1", ("r:5000/vllm", "v1")),
        ("r:5000/vllm@sha256:00", ("r:5000/vllm", "sha256:00")),
        ("r:5000/vllm:v1@sha256:00", ("r:5000/vllm", "sha256:00")),
    ],
)
def test_names_and_tags(reference: str, parts: tuple[str, str]) -> None:
    assert docker_api.split(reference) == parts


def test_an_archive_is_loaded_and_must_hold_the_image(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a b.tar"
    with pytest.raises(GivenUpError, match="cannot be read"):
        fetch(tmp_path, archive=str(archive))
    archive.write_bytes(b"x" * 100)
    assert fetch(tmp_path, archive=str(archive))["total"] == 100
    assert f"load --quiet --input {archive}" in (tmp_path / "asked").read_text()
    (tmp_path / "there").unlink()
    monkeypatch.setattr(image, "free_bytes", lambda _folder: 99)
    with pytest.raises(GivenUpError, match="nothing was loaded"):
        fetch(tmp_path, archive=str(archive))
    monkeypatch.setattr(image, "free_bytes", lambda _folder: 100)
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(GivenUpError, match="ended with 1"):
        fetch(tmp_path, archive=str(archive))
