"""``rocminfra status``: how the hosts are, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from pyinfra.api.host import Host
from pyinfra.context import ctx_config, ctx_host

from rocminfra.runner.run.execution import on_each
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.results import HostResult
from rocminfra.runner.run.session import Progress, Request, Session
from rocminfra.runner.run.status_parts import NEEDS, PARTS, Reader
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
                own = found.setdefault(host.name, {})
                for name, read in parts.items():
                    needed = NEEDS.get(name)
                    if needed is None or (needed in own and own[needed].good):
                        own[name] = _with_command(read(host, settings), options, host.name)
            return True

        on_each(session.state, session.active, ask)
        return tuple(_host_status(result, found) for result in session.results())


def _with_command(part: Part, options: Options, host: str) -> Part:
    """The part with its cure as a whole command, when it needs one."""
    if part.good or part.cure is None or isinstance(part.cure, str):
        return part if not part.good else replace(part, cure=None)
    verb, *words = part.cure
    files = [word for word in words if not word.startswith("-")]
    flags = [word for word in words if word.startswith("-")]
    command = replace(options, files=tuple(files)).command(verb, host)
    return replace(part, cure=" ".join([command, *flags]))


def _host_status(result: HostResult, found: Mapping[str, Mapping[str, Part]]) -> HostStatus:
    return HostStatus(result.name, found.get(result.name, {}), result.failures)
