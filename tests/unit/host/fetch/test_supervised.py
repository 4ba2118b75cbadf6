"""What is a stall: files that do not grow, and a network that brings next to nothing."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rocminfra.host.fetch import sockets, supervised
from rocminfra.host.fetch.supervised import GivenUpError, Patience, Status, download

QUICK = Patience(stall_s=0.6, pause_s=0.01, look_s=0.05, quiet_s=0.1)
# Reads as hf does: by recv, into memory; ends when the other side does.
CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    while connection.recv(1 << 20):
        pass
"""


@contextmanager
def trickling(size: int, count: int) -> Iterator[int]:
    """A server that sends ``size`` bytes ten times a second, ``count`` times; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # closed
                    return
                with connection:
                    try:
                        for _ in range(count):
                            connection.sendall(b"x" * size)
                            time.sleep(0.1)
                    except OSError:  # the client was ended
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def fetch(port: int) -> None:
    command = [sys.executable, "-c", CLIENT, str(port)]
    download(command, {}, lambda: 0, Status(""), QUICK)


def test_a_slow_line_is_no_stall_though_no_file_grows() -> None:
    with trickling(30_000, 20) as port:
        began = time.monotonic()
        fetch(port)
        assert time.monotonic() - began > 2 * QUICK.stall_s, "it lived longer than a stall"


def test_a_line_that_brings_next_to_nothing_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "ATTEMPTS", 1)
    with trickling(20, 100) as port, pytest.raises(GivenUpError, match="nothing has arrived"):
        fetch(port)


def test_where_nothing_tells_of_connections_files_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "ATTEMPTS", 1)
    monkeypatch.setattr(sockets, "_SS", ("/none/ss",))
    with trickling(30_000, 20) as port, pytest.raises(GivenUpError, match="nothing has arrived"):
        fetch(port)


def test_a_connection_that_is_new_counts_whole() -> None:
    assert sockets.more({"a": 7, "b": 5}, {"a": 3, "gone": 9}) == 9
    assert sockets.more({}, {"a": 3}) == 0


def test_connections_of_others_are_not_counted() -> None:
    with trickling(1000, 1) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        assert connection.recv(1000)
        # Every process has a group, and none has this one.
        assert sockets.received(2**22 + 1) == {}
