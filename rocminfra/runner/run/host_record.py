"""The host's record of what rocminfra made: begun before the first change, updated after each run.

``rocminfra remove`` takes away what it proves to be ours, and nothing else.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.job import UNIT_PREFIX as BENCH_UNIT
from rocminfra.bench.link import UNIT as LOAD_UNIT
from rocminfra.failure import Do, FailedError, Fault
from rocminfra.host_paths import LOAD_HOME, LOAD_USER, RECORD, RUNS, STATE
from rocminfra.operations import guidellm, hub_model, packages
from rocminfra.operations.engine import IMAGE_UNIT
from rocminfra.planning.removal import FILES, NUMA, TREES
from rocminfra.runner.run.execution import CONNECTION_LOST, on_each
from rocminfra.runner.run.host_program import run_program
from rocminfra.settings import Settings, load_settings

TIMEOUT_S = 120
# Of what works on a host without us: benchmarks, downloads, installations.
UNITS = (BENCH_UNIT, LOAD_UNIT, IMAGE_UNIT, guidellm.UNIT, hub_model.UNIT, packages.UNIT)


@dataclass(frozen=True)
class HostRecords:
    """The records of a run's hosts.

    + unrecorded: names of the hosts that have none yet
    """

    state: State
    unrecorded: set[str]

    def begin(self, hosts: Sequence[Host]) -> None:
        """Write down what is there, on hosts without a record; one that cannot is out."""
        new = [host for host in hosts if host.name in self.unrecorded]

        def run(host: Host) -> bool:
            ask_record(self.state, host, "begin")
            return True

        if new:
            on_each(self.state, new, run)

    def update(self, hosts: Sequence[Host]) -> None:
        """Write down what this run left, on hosts where it may have changed something."""

        def run(host: Host) -> bool:
            try:
                ask_record(self.state, host, "update")
            except CONNECTION_LOST:
                # The next apply does it; until then its files are ours by their names alone.
                return True
            except FailedError:
                # A host whose run has failed has said why.
                if host in self.state.active_hosts:
                    raise
            return True

        changed = [host for host in hosts if host.name in self.unrecorded or self._changed(host)]
        if changed:
            on_each(self.state, changed, run)

    def _changed(self, host: Host) -> bool:
        metas = [data.operation_meta for data in self.state.ops[host].values()]
        return any(not meta.is_complete() or meta.did_change() for meta in metas)


def ask_record(state: State, host: Host, action: str) -> Any:
    """Begin, update or look; raises :class:`FailedError` when the host cannot.

    + action: of ``host/sent/host_record.py``
    """
    settings = load_settings(host.data.dict())  # type: ignore[no-untyped-call]
    succeeded, output, errors = run_program(
        state, host, "host_record", (action, RECORD), _request(settings), TIMEOUT_S
    )
    if not succeeded:
        raise FailedError(
            Fault.BOOK_UNREADABLE,
            f"{host.name}: the record {RECORD} cannot be used",
            tuple(errors.splitlines())[-5:],
            Do(
                f"look at {RECORD} on {host.name}; when it is damaged, rm it: apply begins "
                "another, and remove takes nothing for ours that was there by then"
            ),
        )
    return json.loads(output)


def _request(settings: Settings) -> Mapping[str, Any]:
    folders = sorted({posixpath.dirname(path) for path in FILES})
    return {
        "paths": [*FILES, *TREES, *folders, settings.storage.mount_point],
        "files": list(FILES),
        "trees": list(TREES),
        "mount_point": settings.storage.mount_point,
        "data_root": settings.docker.data_root,
        "container": settings.engine.container_name,
        "image": settings.engine.image,
        "setting": NUMA,
        "state": STATE,
        "runs": RUNS,
        "user": LOAD_USER,
        "home": LOAD_HOME,
        "units": [f"{unit}*" for unit in UNITS],
    }
