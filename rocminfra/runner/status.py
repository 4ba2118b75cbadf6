"""``rocminfra status``: how the hosts are, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pyinfra.api.host import Host
from pyinfra.context import ctx_config, ctx_host

from rocminfra import __version__
from rocminfra.runner.as_json import SCHEMA_VERSION, failure_document
from rocminfra.runner.execution import on_each
from rocminfra.runner.exit_codes import ExitCode, most_severe
from rocminfra.runner.playbook import Options
from rocminfra.runner.results import FailureResult, HostResult
from rocminfra.runner.session import Progress, Request, Session
from rocminfra.runner.status_parts import PARTS, Part, Reader
from rocminfra.runner.targets import inventory_argument, parse_data
from rocminfra.settings import load_settings


@dataclass(frozen=True)
class HostStatus:
    """How one host is.

    + name: the host
    + parts: what was asked, by name; empty when it cannot be reached
    + failures: why it could not be asked
    """

    name: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    failures: tuple[FailureResult, ...] = ()

    @property
    def code(self) -> ExitCode:
        """NOT_READY when any part is not as it should be."""
        if self.failures:
            return most_severe(failure.code for failure in self.failures)
        good = bool(self.parts) and all(part.good for part in self.parts.values())
        return ExitCode.DONE if good else ExitCode.NOT_READY


def read_status(
    options: Options, progress: Progress, parts: Mapping[str, Reader] = PARTS
) -> tuple[HostStatus, ...]:
    """Ask every host; raises :class:`rocminfra.runner.errors.CommandError` for wrong options."""
    request = Request(
        again=partial(options.command, "status"),
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
            with ctx_config.use(session.state.config.copy()), ctx_host.use(host):
                for name, read in parts.items():
                    found.setdefault(host.name, {})[name] = read(host, settings)
            return True

        on_each(session.state, session.active, ask)
        return tuple(_host_status(result, found) for result in session.results())


def status_document(hosts: tuple[HostStatus, ...], error: FailureResult | None) -> dict[str, Any]:
    """The status as ``schemas/status.json`` publishes it."""
    codes = [host.code for host in hosts]
    if error is not None:
        codes.append(error.code)
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": "status",
        "code": int(most_severe(codes)),
        "hosts": [
            {
                "name": host.name,
                "parts": {
                    name: {"good": part.good, "words": part.words, "details": part.details}
                    for name, part in host.parts.items()
                },
                "failures": [failure_document(failure) for failure in host.failures],
            }
            for host in hosts
        ],
        "error": None if error is None else failure_document(error),
    }


def _host_status(result: HostResult, found: Mapping[str, Mapping[str, Part]]) -> HostStatus:
    return HostStatus(result.name, found.get(result.name, {}), result.failures)
