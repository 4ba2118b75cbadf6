"""From the environment to a cloud that can be worked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rocminfra.droplets.access import read_access
from rocminfra.droplets.client import CloudClient
from rocminfra.droplets.clock import Clock
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.ledger import Ledger
from rocminfra.droplets.ssh_reach import SshReach
from rocminfra.droplets.state_folder import state_folder


def open_cloud(
    environ: Mapping[str, str],
    endpoint: str | None,
    interrupts: Interrupts,
    say: Callable[[str], None],
) -> Cloud:
    """The cloud and team that the environment's token belongs to.

    + environ: usually ``os.environ``
    + endpoint: URL of the API that wins over the environment's
    + say: told about progress; must not fail

    Raises :class:`FailedError` without a usable token (4), endpoint or folder (3).
    """
    access = read_access(environ, endpoint)
    folder = state_folder(environ)
    folder.make()
    clock = Clock()
    client = CloudClient(access, clock, say)
    account = client.account()
    ledger = Ledger(folder.ledger)
    return Cloud(client, account, ledger, folder, SshReach(), interrupts, clock, say)
