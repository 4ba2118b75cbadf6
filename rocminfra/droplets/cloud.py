"""What every droplet command works with, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rocminfra.droplets.client import CloudClient
from rocminfra.droplets.clock import Clock
from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.ledger import Ledger
from rocminfra.droplets.records import Account
from rocminfra.droplets.state_folder import StateFolder


@dataclass(frozen=True)
class Login:
    """How a droplet is logged in to.

    + known_hosts: file with its pinned host key
    + identity: private key file, None for what ssh finds by itself
    """

    address: str
    known_hosts: Path
    identity: str | None = None
    user: str = "root"


@dataclass(frozen=True)
class Ran:
    """A command that ran on a droplet; code 255 is ssh's own."""

    code: int
    out: str
    err: str


class Reach(Protocol):
    """SSH to a droplet; a test has its own."""

    def host_key(self, address: str) -> str:
        """The key that the machine shows, ``ssh-ed25519 AAAA…``; OSError while there is none."""

    def run(self, login: Login, command: str, timeout_s: float) -> Ran:
        """Run a command; one that takes too long ends with code 255."""


@dataclass(frozen=True)
class Cloud:
    """One team's droplets and what is written down about them.

    + say: told about progress; must not fail, also when nobody listens any more
    """

    client: CloudClient
    account: Account
    ledger: Ledger
    folder: StateFolder
    reach: Reach
    interrupts: Interrupts
    clock: Clock
    say: Callable[[str], None]
