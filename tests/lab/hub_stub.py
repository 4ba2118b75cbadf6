"""A hub with one small model, for a droplet: what huggingface_hub asks when it downloads.

    python3 hub_stub.py FOLDER PORT < TOKEN

Standard library only: the test copies this file into the droplet and runs it there. Without the
token it answers 401, as the hub does for a gated model. A repository with `slow` in its name sends
its weights for minutes, `huge` has more of them than any disk, and `cut` ends every answer early
that does not resume.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

COMMIT = "1" * 40
WEIGHTS = "model.safetensors"
WEIGHTS_BYTES = 80_000_000
BLOCK = 1_000_000


class Hub(BaseHTTPRequestHandler):
    """Answers for every repository with the same files."""

    folder: ClassVar[Path]
    token: ClassVar[str]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            self.send(401, b'{"error": "gated"}', {"X-Error-Code": "GatedRepo"}, with_body)
            return
        path = self.path.split("?")[0]
        if path.startswith("/api/models/"):
            self.send(200, json.dumps(self.index(path)).encode(), {}, with_body)
            return
        name = path.split("/resolve/", 1)[-1].split("/", 1)[-1]
        file = self.folder / name
        if name != WEIGHTS and not file.is_file():
            self.send(404, b"{}", {"X-Error-Code": "EntryNotFound"}, with_body)
            return
        body = bytes(WEIGHTS_BYTES) if name == WEIGHTS else file.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
        begin = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        if name != WEIGHTS or not with_body:
            self.send(206 if begin else 200, body[begin:], headers, with_body)
        else:
            self.send_weights(body[begin:], begin, headers)

    def send_weights(self, body: bytes, begin: int, headers: dict[str, str]) -> None:
        """Weights as a line of trouble brings them."""
        with open(self.folder.parent / "asked", "a", encoding="utf-8") as asked:
            asked.write(f"{self.path} {begin}\n")
        if "/cut" in self.path and not begin:
            self.send(200, body, headers, with_body=False)
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.send(206 if begin else 200, body, headers, with_body=False)
        for at in range(0, len(body), BLOCK):
            self.wfile.write(body[at : at + BLOCK])
            if "/slow" in self.path:
                time.sleep(0.5)

    def index(self, path: str) -> object:
        files = sorted(self.folder.iterdir())
        more = []
        if any(word in path for word in ("/slow", "/huge", "/cut")):
            size = 10**16 if "/huge" in path else WEIGHTS_BYTES
            more.append((WEIGHTS, size))
        if "/tree/" in path:
            return [
                {"type": "file", "path": name, "size": size, "oid": COMMIT}
                for name, size in [*((file.name, file.stat().st_size) for file in files), *more]
            ]
        return {
            "id": "toy/model",
            "modelId": "toy/model",
            "sha": COMMIT,
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [
                {"rfilename": name, "size": size}
                for name, size in [*((file.name, file.stat().st_size) for file in files), *more]
            ],
        }

    def send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


if __name__ == "__main__":
    Hub.folder, Hub.token = Path(sys.argv[1]), sys.stdin.readline().strip()
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Hub).serve_forever()
