"""A hub with one small model, for a droplet: what huggingface_hub asks when it downloads.

    python3 hub_stub.py FOLDER PORT < TOKEN

Standard library only: the test copies this file into the droplet and runs it there. Without the
token it answers 401, as the hub does for a gated model.
"""

from __future__ import annotations

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

COMMIT = "1" * 40


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
        if not file.is_file():
            self.send(404, b"{}", {"X-Error-Code": "EntryNotFound"}, with_body)
            return
        body = file.read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        self.send(200, body, {"ETag": tag, "X-Repo-Commit": COMMIT}, with_body)

    def index(self, path: str) -> object:
        files = sorted(self.folder.iterdir())
        if "/tree/" in path:
            return [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": COMMIT}
                for file in files
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
            "siblings": [{"rfilename": file.name, "size": file.stat().st_size} for file in files],
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
