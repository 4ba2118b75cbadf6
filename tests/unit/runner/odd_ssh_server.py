"""An SSH server on the loopback that answers as hosts do on which nothing runs."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)

HOST_KEY = paramiko.ECDSAKey.generate()


@dataclass
class Login:
    """How the account is.

    + sessions: how many may be open at once, as sshd's MaxSessions
    + said: what every command gets instead of being run: exit status, stdout, stderr; None runs it
    + noise: whether a command only writes, for ever
    + late: seconds after a command at which something else still writes
    + startup: start-up files of a shell that runs the command, as bash does for sshd
    + calls_itself: the server's version string
    + most_command: bytes of a command; a longer one ends the connection, as Dropbear does it
    + second_factor: whether a code is wanted besides the key, which then hangs up
    """

    sessions: int = 10
    said: tuple[int, str, str] | None = None
    second_factor: bool = False
    noise: bool = False
    late: float = 0.0
    startup: str = ""
    calls_itself: str = "SSH-2.0-OpenSSH_9.2p1 Debian-2"
    most_command: int = 1 << 20
    open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Server(paramiko.ServerInterface):
    def __init__(self, login: Login, transport: paramiko.Transport) -> None:
        self.login = login
        self.transport = transport

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,keyboard-interactive"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_PARTIALLY_SUCCESSFUL if self.login.second_factor else AUTH_SUCCESSFUL

    def check_auth_interactive(
        self, username: str, submethods: str
    ) -> int | paramiko.server.InteractiveQuery:
        return paramiko.server.InteractiveQuery("", "", ("Verification code: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        with self.login.lock:
            if self.login.open >= self.login.sessions:
                return OPEN_FAILED_CONNECT_FAILED
            self.login.open += 1
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if len(command) > self.login.most_command:
            self.transport.close()
            return False
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        if self.login.startup:
            with suppress(OSError, paramiko.SSHException):
                _stream(channel, f"{self.login.startup}\n{command}")
            return
        status, out, err = self.login.said or _ran(command)
        with suppress(OSError, paramiko.SSHException):
            # Not before the client has been told that the command was taken: it sends EOF then.
            channel.settimeout(2)
            channel.recv(1)
            while self.login.noise:
                channel.sendall(b"noise\n")
                time.sleep(0.01)
            channel.sendall(out.encode())
            if self.login.late:
                time.sleep(self.login.late)
                channel.sendall(b"late\n")
            channel.sendall_stderr(err.encode())
            channel.send_exit_status(status)
            channel.shutdown_write()
            channel.close()


class _Transport(paramiko.Transport):
    """Counts a session until its channel is closed."""

    login: Login

    def _unlink_channel(self, chanid: int) -> None:
        super()._unlink_channel(chanid)  # type: ignore[misc]
        with self.login.lock:
            self.login.open -= 1


@contextmanager
def serving(login: Login) -> Iterator[int]:
    """The port on which an account is that is like this."""
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                transport = _Transport(connection)
                transport.login = login
                transport.local_version = login.calls_itself
                transport.add_server_key(HOST_KEY)
                transports.append(transport)
                with suppress(EOFError, OSError, paramiko.SSHException):
                    transport.start_server(server=_Server(login, transport))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()


def _stream(channel: paramiko.Channel, script: str) -> None:
    """Run a script, and pass on what it and all that it leaves running write, as it comes."""
    channel.settimeout(2)
    channel.recv(1)
    with subprocess.Popen(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        while block := process.stdout.read(65536):
            channel.sendall(block)
    channel.send_exit_status(process.returncode)
    channel.shutdown_write()
    channel.close()


def _ran(command: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=20,
    )
    return done.returncode, done.stdout, done.stderr
