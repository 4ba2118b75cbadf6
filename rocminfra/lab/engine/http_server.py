"""A small HTTP/1.1 server on asyncio: keep-alive, bodies with a length or in chunks, streaming.

Not a general-purpose server: no TLS, no compression, one request per connection at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from rocminfra.lab.engine.errors import ApiError, internal_error

MAX_HEADER_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class HttpRequest:
    """A complete request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: str
    keep_alive: bool


class BadHttp(Exception):
    """Bytes that are not valid HTTP, or too many of them.

    + status: what to answer before the connection is closed
    """

    def __init__(self, status: int) -> None:
        super().__init__(HTTPStatus(status).phrase)
        self.status = status


class Exchange:
    """One request and its answer.

    + closed: whether the client has disconnected
    + on_disconnect: called once if the client disconnects before the answer has ended
    + status: status of the answer, 0 before there is one
    """

    def __init__(self, transport: asyncio.Transport, request: HttpRequest) -> None:
        self.request = request
        self.closed = False
        self.status = 0
        self.on_disconnect: Callable[[], None] | None = None
        self._transport = transport
        self._streaming = False

    def send(self, status: int, body: bytes = b"", content_type: str = "application/json") -> None:
        """Send a complete answer."""
        self._head(status, content_type, f"content-length: {len(body)}\r\n", body)

    def start_stream(self, content_type: str = "text/event-stream; charset=utf-8") -> None:
        """Begin an answer of unknown length."""
        self._streaming = True
        self._head(200, content_type, "transfer-encoding: chunked\r\n", b"")

    def write(self, data: bytes) -> None:
        """Send a piece of a streamed answer."""
        if not self.closed and data:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        """End a streamed answer."""
        if not self.closed:
            self._transport.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Drop the connection, like a server that dies."""
        self._transport.abort()

    def _head(self, status: int, content_type: str, framing: str, body: bytes) -> None:
        self.status = status
        if self.closed:
            return
        connection = "" if self.request.keep_alive else "connection: close\r\n"
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nserver: uvicorn\r\n"
            f"content-type: {content_type}\r\n{framing}{connection}\r\n"
        )
        if self.request.method == "HEAD":
            body = b""
        self._transport.write(head.encode("latin-1") + body)


Handler = Callable[[Exchange], Awaitable[None]]
AccessLog = Callable[[Exchange], None]


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self, handler: Handler, access_log: AccessLog, on_lost: Callable[[Connection], None]
    ) -> None:
        self._handler = handler
        self._access_log = access_log
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._buffer += data
        if self._task is None:
            self._next()
        elif len(self._buffer) > MAX_BODY_BYTES and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by asyncio."""
        self._transport = None
        self._on_lost(self)
        exchange = self._exchange
        if exchange is None:
            return
        exchange.closed = True
        if exchange.on_disconnect is not None:
            exchange.on_disconnect()

    def close(self) -> None:
        """Stop answering, and close the connection when everything has been sent."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()

    def _next(self) -> None:
        """Answer the next request in the buffer, if it is complete."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            request = self._parse(transport)
        except BadHttp as error:
            phrase = HTTPStatus(error.status).phrase
            transport.write(
                f"HTTP/1.1 {error.status} {phrase}\r\ncontent-type: text/plain\r\n"
                "connection: close\r\ncontent-length: 0\r\n\r\n".encode()
            )
            transport.close()
            return
        if request is None:
            return
        self._continued = False
        self._exchange = Exchange(transport, request)
        self._task = asyncio.get_running_loop().create_task(self._answer(self._exchange))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except ApiError as error:
            exchange.send(error.status, error.body())
        except Exception as error:
            # A bug in the simulator must look like a server error, and must not hang the client.
            if exchange.status == 0:
                exchange.send(500, internal_error(f"{type(error).__name__}: {error}").body())
            else:
                exchange.cut()
        finally:
            self._exchange = None
            self._task = None
            self._access_log(exchange)
        if exchange.request.keep_alive:
            self._next()
        elif self._transport is not None:
            self._transport.close()

    def _parse(self, transport: asyncio.Transport) -> HttpRequest | None:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES + 4)
        if end < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise BadHttp(431)
            return None
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadHttp(400)
        headers = _headers(lines[1:])
        if headers.get("expect", "").lower() == "100-continue" and not self._continued:
            self._continued = True
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        taken = self._body(headers, end + 4)
        if taken is None:
            return None
        body, after = taken
        del self._buffer[:after]
        token = headers.get("connection", "").lower()
        keep_alive = token != "close" if words[2] == "HTTP/1.1" else token == "keep-alive"
        peer = transport.get_extra_info("peername")
        return HttpRequest(
            method=words[0],
            path=unquote(urlsplit(words[1]).path),
            headers=headers,
            body=body,
            peer=f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix:0",
            keep_alive=keep_alive,
        )

    def _body(self, headers: dict[str, str], start: int) -> tuple[bytes, int] | None:
        """The body and its end; None while it is incomplete."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked_body(start)
        length_text = headers.get("content-length", "0")
        if not length_text.isdecimal():
            raise BadHttp(400)
        length = int(length_text)
        if length > MAX_BODY_BYTES:
            raise BadHttp(413)
        if len(self._buffer) < start + length:
            return None
        return bytes(self._buffer[start : start + length]), start + length

    def _chunked_body(self, start: int) -> tuple[bytes, int] | None:
        body = bytearray()
        position = start
        while True:
            line_end = self._buffer.find(b"\r\n", position)
            if line_end < 0:
                return None
            try:
                size = int(self._buffer[position:line_end].split(b";")[0], 16)
            except ValueError:
                raise BadHttp(400) from None
            if size < 0 or len(body) + size > MAX_BODY_BYTES:
                raise BadHttp(413)
            position = line_end + 2
            if len(self._buffer) < position + size + 2:
                return None
            if size == 0:
                return bytes(body), position + 2
            body += self._buffer[position : position + size]
            position += size + 2


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadHttp(400)
        headers[name.lower()] = value.strip()
    return headers
