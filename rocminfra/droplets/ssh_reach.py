"""SSH to a droplet: its host key by paramiko, commands by the ssh program."""

from __future__ import annotations

import socket
import subprocess

import paramiko

from rocminfra.droplets.cloud import Login, Ran

CONNECT_S = 8.0
SSH_PORT = 22


class SshReach:
    """The real thing."""

    def host_key(self, address: str) -> str:
        """The key that the machine shows; OSError while it shows none."""
        with socket.create_connection((address, SSH_PORT), timeout=CONNECT_S) as connection:
            transport = paramiko.Transport(connection)
            try:
                transport.start_client(timeout=CONNECT_S)
                key = transport.get_remote_server_key()
                return f"{key.get_name()} {key.get_base64()}"
            except (paramiko.SSHException, EOFError) as error:
                raise OSError(str(error) or "the connection ended before a key came") from None
            finally:
                transport.close()

    def run(self, login: Login, command: str, timeout_s: float) -> Ran:
        """Run a command; one that takes too long, like a login that fails, ends with 255."""
        try:
            done = subprocess.run(
                [*ssh_command(login, batch=True), command],
                check=False,
                capture_output=True,
                timeout=timeout_s,
                stdin=subprocess.DEVNULL,
                # Ctrl-C is ours to hear; what runs in here may be destroying something.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return Ran(255, "", f"no answer within {timeout_s:.0f} s")
        except FileNotFoundError:
            return Ran(255, "", "ssh is not installed")
        out = done.stdout.decode("utf-8", "replace")
        return Ran(done.returncode, out, done.stderr.decode("utf-8", "replace"))


def ssh_command(login: Login, batch: bool = False) -> list[str]:
    """`ssh` to the droplet, with its pinned key and nothing taken on trust."""
    words = ["ssh", "-o", f"UserKnownHostsFile={login.known_hosts}"]
    words += ["-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"]
    words += ["-o", f"ConnectTimeout={CONNECT_S:.0f}", "-o", "LogLevel=ERROR"]
    if batch:
        words += ["-o", "BatchMode=yes"]
    if login.identity is not None:
        words += ["-i", login.identity, "-o", "IdentitiesOnly=yes"]
    return [*words, f"{login.user}@{login.address}"]
