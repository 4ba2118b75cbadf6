"""A port of this machine that leads to one on a host, through the connection that we have.

The connection may drop: it is made again, and connections through it that come meanwhile wait for
it. So it is the same login, key, jump host and known hosts file as everything else.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.lock import RLock
from paramiko import Channel, SSHException, Transport
from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.runner.run.session import Session

HERE = "127.0.0.1"
LOOK_S = 2.0
WAITS_S = (1.0, 2.0, 5.0, 10.0)
_BLOCK = 65536


@dataclass
class Forward:
    """A port here and where it leads; use it in a ``with``.

    + session: with one host, connected
    + host: that host
    + to: address and port as the host reaches them
    + say: takes what happens to the connection, a line each
    + wanted: port here; 0 for any that is free
    """

    session: Session
    host: Host
    to: tuple[str, int]
    say: Callable[[str], None]
    wanted: int = 0
    _listener: socket.socket = field(init=False)
    _lock: RLock = field(default_factory=RLock, init=False)
    _work: list[gevent.Greenlet] = field(default_factory=list, init=False)

    def __enter__(self) -> Forward:
        """Listen; raises :class:`FailedError` when the port is taken, or without SSH."""
        if not issubclass(self.host.connector_cls, SSHConnector):
            what = f"{self.host.name} is not reached over SSH, so there is nothing to forward"
            raise FailedError(Fault.NOT_OVER_SSH, what)
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((HERE, self.wanted))
        except OSError as error:
            self._listener.close()
            raise FailedError(
                Fault.LOCAL_PORT_TAKEN,
                f"port {self.wanted} of this machine cannot be used: {error.strerror}",
                next=Do(f"rocminfra tunnel --limit {self.host.name} --port 0   # any free port"),
            ) from None
        self._listener.listen(64)
        self._work = [gevent.spawn(self._accept), gevent.spawn(self._watch)]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; connections through it end."""
        # Before the listener: they wait for it.
        gevent.killall(self._work)
        self._listener.close()

    @property
    def port(self) -> int:
        """The port here."""
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            self._work = [one for one in self._work if not one.dead]
            self._work.append(gevent.spawn(self._serve, client))

    def _serve(self, client: socket.socket) -> None:
        try:
            channel = self._channel(client.getpeername())
        except (SSHException, OSError) as error:
            self.say(f"{self.host.name}:{self.to[1]} does not answer: {error}")
            client.close()
            return
        try:
            pumps = (gevent.spawn(_pump, client, channel), gevent.spawn(_pump, channel, client))
            gevent.joinall(pumps)
        finally:
            channel.close()
            client.close()

    def _channel(self, peer: tuple[str, int]) -> Channel:
        with self._lock:
            transport = self._transport()
            if transport is None:
                self._connect_again()
                transport = self._transport()
        if transport is None:
            raise SSHException("the connection is closed")
        return transport.open_channel("direct-tcpip", self.to, peer, timeout=30)

    def _watch(self) -> None:
        """A drop is noticed and mended also when nobody asks for anything."""
        while True:
            gevent.sleep(LOOK_S)
            with self._lock:
                if self._transport() is None:
                    self._connect_again()

    def _transport(self) -> Transport | None:
        connector = self.host.connector
        if not isinstance(connector, SSHConnector) or connector.client is None:
            return None
        transport = connector.client.get_transport()
        return transport if transport is not None and transport.is_active() else None

    def _connect_again(self) -> None:
        """Try until it succeeds or the verb is interrupted; says so at least every ten seconds."""
        self.say("the connection was lost; connecting again")
        began, tried = time.monotonic(), 0
        while True:
            failure = self.session.connect_again(self.host)
            if failure is None:
                self.say(f"connected again after {time.monotonic() - began:.0f} s")
                return
            self.say(f"not yet: {failure.why[0] if failure.why else failure.what}")
            gevent.sleep(WAITS_S[min(tried, len(WAITS_S) - 1)])
            tried += 1


def _pump(source: socket.socket | Channel, sink: socket.socket | Channel) -> None:
    """Copy one direction to its end, and pass the end on."""
    try:
        while data := source.recv(_BLOCK):
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR) if isinstance(sink, socket.socket) else sink.shutdown_write()
    except (OSError, EOFError):
        return
