"""``rocminfra status``: how the hosts are, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pyinfra.api.host import Host
from pyinfra.context import ctx_config, ctx_host

from rocminfra.runner.run.execution import on_each
from rocminfra.runner.run.playbook import Options
from rocminfra.runner.run.results import HostResult
from rocminfra.runner.run.session import Progress, Request, Session
from rocminfra.runner.run.status_parts import PARTS, Reader
from rocminfra.runner.run.status_results import HostStatus, Part
from rocminfra.runner.run.targets import inventory_argument, parse_data
from rocminfra.settings import load_settings


def read_status(
    options: Options, progress: Progress, parts: Mapping[str, Reader] = PARTS
) -> tuple[HostStatus, ...]:
    """Ask every host; raises :class:`rocminfra.failure.FailedError` for wrong options."""
    request = Request(
        command=options.summary("status"),
        again=partial(options.again, "status"),
        inventory=inventory_argument(options.inventory),
        folder=Path.cwd(),
        limit=options.limit,
        data=parse_data(options.data, options.wipe),
        detect_changes=False,
        verbosity=options.verbosity,
    )
    found: dict[str, dict[str, Part]] = {}
    with Session(request, progress) as session:
        session.connect()

        def ask(host: Host) -> bool:
            settings = load_settings(host.data.dict())  # type: ignore[no-untyped-call]
            with (
                progress.activities.begin("Look at the host", host.name),
                ctx_config.use(session.state.config.copy()),
                ctx_host.use(host),
            ):
                for name, read in parts.items():
                    found.setdefault(host.name, {})[name] = read(host, settings)
            return True

        on_each(session.state, session.active, ask)
        return tuple(_host_status(result, found) for result in session.results())


def _host_status(result: HostResult, found: Mapping[str, Mapping[str, Part]]) -> HostStatus:
    return HostStatus(result.name, found.get(result.name, {}), result.failures)
