"""A stub of the droplet cloud that speaks real HTTP on loopback, with faults on demand."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from droplet_cloud import StubCloud


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet an answer
    server: _Server

    def handle_one(self) -> None:
        cloud = self.server.cloud
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        with cloud.lock:
            cloud.log.append((self.command, self.path))
            cloud.on_request(self.command, self.path)
            kinds = [f.kind for f in cloud.faults if f.strikes(self.command, self.path)]
        if kinds and FAULTS[kinds[0]](self, body):
            return
        if self.headers.get("Authorization") != f"Bearer {cloud.token}":
            self.reply(401, {"id": "Unauthorized", "message": "Unable to authenticate you"})
            return
        with cloud.lock:
            status, data = cloud.answer(self.command, self.path, body)
        self.reply(status, data)

    do_GET = do_POST = do_DELETE = handle_one

    def process(self, body: Any) -> None:
        """Do what the request says without telling."""
        with self.server.cloud.lock:
            self.server.cloud.answer(self.command, self.path, body)

    def reply(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        content = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    cloud: StubCloud
    released: threading.Event
    elsewhere: str

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what some faults are about."""


# What a fault does instead of answering; False lets the request through after all.
def _limit(handler: _Handler, _body: Any) -> bool:
    message = {"id": "too_many_requests", "message": "API rate limit exceeded."}
    handler.reply(429, message, {"Retry-After": "7"})
    return True


def _long_limit(handler: _Handler, _body: Any) -> bool:
    handler.reply(429, {"message": "API rate limit exceeded."}, {"Retry-After": "2400"})
    return True


def _sick(handler: _Handler, _body: Any) -> bool:
    handler.reply(503, {"id": "server_error", "message": "Unexpected server-side error"})
    return True


def _hang(handler: _Handler, body: Any) -> bool:
    handler.process(body)
    handler.server.released.wait(30)
    handler.cut()
    return True


def _lost(handler: _Handler, body: Any) -> bool:
    handler.process(body)
    handler.cut()
    return True


def _cut(handler: _Handler, _body: Any) -> bool:
    handler.cut()
    return True


def _garbage(handler: _Handler, body: Any) -> bool:
    handler.process(body)
    handler.send_response(200)
    handler.send_header("Content-Length", "9")
    handler.end_headers()
    handler.wfile.write(b'{"droplet')
    return True


def _moved(handler: _Handler, _body: Any) -> bool:
    handler.reply(301, None, {"Location": f"http://{handler.server.elsewhere}{handler.path}"})
    return True


def _unauthorized(handler: _Handler, _body: Any) -> bool:
    handler.reply(401, {"id": "Unauthorized", "message": "Unable to authenticate you"})
    return True


def _forbidden(handler: _Handler, _body: Any) -> bool:
    handler.reply(403, {"id": "Forbidden", "message": "You are missing the required permission"})
    return True


def _forgets(handler: _Handler, _body: Any) -> bool:
    if re.fullmatch(r"/v2/droplets/\d+", urlsplit(handler.path).path):
        handler.reply(404, {"id": "not_found", "message": "The resource could not be found."})
    else:
        handler.reply(200, {"droplets": [], "links": {}, "meta": {"total": 0}})
    return True


FAULTS: dict[str, Callable[[_Handler, Any], bool]] = {
    "limit": _limit,
    "long limit": _long_limit,
    "sick": _sick,
    "hang": _hang,
    "lost": _lost,
    "cut": _cut,
    "garbage": _garbage,
    "moved": _moved,
    "unauthorized": _unauthorized,
    "forbidden": _forbidden,
    "forgets": _forgets,
}


@contextmanager
def serving(cloud: StubCloud) -> Iterator[str]:
    """Serve ``cloud`` on loopback; its URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.cloud = cloud
    server.released = threading.Event()
    elsewhere = socket.create_server(("127.0.0.1", 0))
    server.elsewhere = f"127.0.0.1:{elsewhere.getsockname()[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
        # A token that was sent after a redirect would wait here for somebody to read it.
        elsewhere.setblocking(False)
        try:
            elsewhere.accept()
        except BlockingIOError:
            return
        raise AssertionError("a redirect was followed")
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
        elsewhere.close()
