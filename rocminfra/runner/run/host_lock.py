"""Two runs at once on one host: the second is told who is at work, and changes nothing.

The lock is taken after everything has been prepared and before the first operation, so that a
host that is refused stays as it was. Plans take none.
"""

from __future__ import annotations

import getpass
import json
import posixpath
import shlex
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.local import LocalConnector

from rocminfra import __version__
from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.host_paths import RUN_LOCK
from rocminfra.operations.host_failures import record
from rocminfra.planning.fresh_host import read_only
from rocminfra.runner.run.execution import CONNECTION_LOST, on_each
from rocminfra.runner.run.host_program import run_program


@dataclass(frozen=True)
class HostLock:
    """A run's lock on its hosts.

    + command: what this run does, for others to read; sent on stdin, so that neither the host's
      process list nor sudo's log has it
    + path: the lock file on the host
    + owner: who runs it, and from which machine
    + token: tells this run from all others
    + unrecorded: hosts, of those that were taken, without a record, or with a Docker that it does
      not know
    """

    command: str
    path: str
    owner: str
    token: str
    unrecorded: set[str] = field(default_factory=set)

    def take(self, state: State, hosts: Sequence[Host]) -> None:
        """Take it on every host; a host that is locked is out of this run."""
        on_each(state, hosts, lambda host: self._take(state, host))

    def free(
        self,
        state: State,
        hosts: Sequence[Host],
        ended: Callable[[Host], Mapping[str, Any]] | None = None,
    ) -> None:
        """Give it back; a host that cannot be reached any more frees it by itself.

        + ended: what the host's book of runs is to say of its end
        """

        def run(host: Host) -> bool:
            request: dict[str, Any] = {"token": self.token}
            if ended is not None:
                request["event"] = {"event": "ended", "token": self.token, **ended(host)}
            try:
                run_program(state, host, "run_lock", ("free", self.path), request)
            except CONNECTION_LOST:
                return True
            return True

        on_each(state, hosts, run)

    def _take(self, state: State, host: Host) -> bool:
        request = {
            "token": self.token,
            "owner": self.owner,
            "command": self.command,
            "event": {"rocminfra": __version__},
        }
        succeeded, output, errors = run_program(
            state, host, "run_lock", ("take", self.path), request
        )
        if not succeeded:
            record(host, not_taken(self.path, output, errors))
            return False
        answer = json.loads(output)
        holder = answer["holder"]
        if not answer["taken"]:
            record(host, _locked(host, holder))
            return False
        if not answer["recorded"]:
            self.unrecorded.add(host.name)
        if holder is not None and holder.get("token") != self.token:
            host.log(f"the lock of a run that is gone was taken over ({_described(holder)})")
        return True


def new_lock(command: str, path: str = RUN_LOCK) -> HostLock:
    """A lock for a run.

    + command: the command line, for others to read
    + path: the lock file on the hosts
    """
    return HostLock(command, path, owner(), uuid.uuid4().hex)


def owner() -> str:
    """Who runs this, and from which machine, such as ``alice@laptop``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def needs_lock(host: Host) -> bool:
    """Whether others could be at work there; pyinfra's @local is for trying things out."""
    return not issubclass(host.connector_cls, LocalConnector)


def not_taken(path: str, output: str, errors: str) -> Failure:
    """The failure of a lock that the host could not take.

    + output, errors: what the program said, which may not have run at all
    """
    folder = posixpath.dirname(path)
    why = tuple(errors.splitlines())
    try:
        problem = json.loads(output)["problem"]
    except (ValueError, KeyError, TypeError):
        problem = None
    if problem == "EROFS":
        return read_only((folder,), why)
    if problem in ("ENOSPC", "EDQUOT"):
        return Failure(
            Fault.HOST_DISK_FULL,
            f"disk full on the host: {folder} takes no file more",
            why,
            Again("make room there (du -xh -d 3 / | sort -h), then"),
        )
    return Failure(
        Fault.LOCK_NOT_TAKEN,
        f"the lock {path} could not be taken",
        why,
        Do(f"on the host: ls -ld {shlex.quote(folder)}"),
    )


def _locked(host: Host, holder: dict[str, Any]) -> Failure:
    pid = holder.get("pid")
    return Failure(
        Fault.HOST_LOCKED,
        f"{host.name} is locked by another run",
        (_described(holder),),
        Do(f"wait for it; or end its connection, on {host.name}: kill {shlex.quote(str(pid))}"),
    )


def _described(holder: dict[str, Any]) -> str:
    return f"{holder.get('command')}, by {holder.get('owner')}, since {holder.get('since')}"
