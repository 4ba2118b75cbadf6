"""HTTP/1.1, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from engine_under_test import in_loop

from rocminfra.lab.engine.errors import bad_request
from rocminfra.lab.engine.http_server import MAX_BODY_BYTES, Connection, Exchange

Talk = Callable[[bytes], Awaitable[bytes]]


async def echo(exchange: Exchange) -> None:
    request = exchange.request
    if request.path == "/stream":
        exchange.start_stream("text/plain")
        exchange.write(b"one")
        await asyncio.sleep(0)
        exchange.write(b"two")
        exchange.end_stream()
    elif request.path == "/fault":
        raise RuntimeError("broken")
    elif request.path == "/bad":
        raise bad_request("no")
    else:
        exchange.send(200, request.body, "text/plain")


def talk_to_echo(data: list[bytes]) -> bytes:
    """Send pieces one after the other, then end; return all that comes back."""
    received = b""

    async def scenario() -> None:
        nonlocal received
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(echo, lambda _: None, lambda _: None), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in data:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        received = await reader.read()
        writer.close()
        server.close()

    in_loop(scenario)
    return received


CLOSE = b"Connection: close\r\n"


def test_a_body_that_comes_in_pieces() -> None:
    head = b"POST /x HTTP/1.1\r\nContent-Length: 6\r\n" + CLOSE
    answer = talk_to_echo([head[:10], head[10:] + b"\r", b"\nabc", b"def"])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nabcdef")
    assert b"connection: close" in answer


def test_a_body_in_chunks() -> None:
    head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n"
    answer = talk_to_echo([head + b"3\r\nabc\r\n", b"2;x=1\r\nde\r\n0\r\n\r\n"])
    assert answer.endswith(b"\r\n\r\nabcde")


def test_a_connection_serves_one_request_after_the_other_in_order() -> None:
    first = b"POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
    second = b"POST /2 HTTP/1.1\r\nContent-Length: 3\r\n" + CLOSE + b"\r\ntwo"
    answer = talk_to_echo([first + second])
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"\r\n\r\none") < answer.index(b"\r\n\r\ntwo")


def test_a_stream_is_chunked() -> None:
    answer = talk_to_echo([b"GET /stream HTTP/1.1\r\n" + CLOSE + b"\r\n"])
    assert b"transfer-encoding: chunked" in answer
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_a_client_that_waits_for_leave_gets_it() -> None:
    head = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n" + CLOSE + b"\r\n"
    answer = talk_to_echo([head, b"ok"])
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize(("path", "status"), [("/fault", b"500"), ("/bad", b"400")])
def test_a_fault_is_an_answer_and_the_connection_goes_on(path: str, status: bytes) -> None:
    fault = f"GET {path} HTTP/1.1\r\n\r\n".encode()
    answer = talk_to_echo([fault, b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n"])
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"HTTP/1.1 200 OK" in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
    ],
    ids=["no request", "header", "length", "too long", "chunk", "too many headers"],
)
def test_what_is_no_http_is_refused_and_cut_off(data: bytes, status: bytes) -> None:
    answer = talk_to_echo([data])
    assert answer.startswith(b"HTTP/1.1 " + status)
