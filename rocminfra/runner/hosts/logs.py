"""What the units of ours on a host wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyinfra.api.host import Host

from rocminfra.bench.job import UNIT_PREFIX as BENCH_UNIT
from rocminfra.failure import Do, FailedError, Fault
from rocminfra.host_paths import JOBS
from rocminfra.operations.engine import IMAGE_UNIT
from rocminfra.operations.hub_model import UNIT as DOWNLOAD_UNIT
from rocminfra.runner.hosts.asking import Answered, ask_in, request_of
from rocminfra.runner.hosts.streaming import streamed
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.session import Progress, Session
from rocminfra.runner.run.status_parts import UNIT as ENGINE_UNIT

# Patterns of units by what they are called here.
UNITS = {
    "engine": (ENGINE_UNIT,),
    "image": (f"{IMAGE_UNIT}.service",),
    "download": (f"{DOWNLOAD_UNIT}.service",),
    "benchmark": (f"{BENCH_UNIT}*.service",),
}
FILES = {"image": f"{JOBS}/{IMAGE_UNIT}.log", "download": f"{JOBS}/{DOWNLOAD_UNIT}.log"}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Line:
    """One line of a log.

    + host: where it was written
    + time: in UTC, ``2026-01-31T09:30:00.123Z``; None where nobody noted it
    + source: engine, image, download or benchmark
    + unit: the systemd unit, or the file
    + text: without secrets
    """

    host: str
    time: str | None
    source: str
    unit: str
    text: str


@dataclass(frozen=True)
class Wanted:
    """Which lines.

    + sources: of UNITS
    + lines: old ones of a host at most; None for all
    + since: as :func:`since_of` gives it
    + follow: go on with new ones until somebody ends it
    """

    sources: Sequence[str] = tuple(UNITS)
    lines: int | None = None
    since: dict[str, float] | None = None
    follow: bool = False

    def request(self) -> str:
        """The request that the host's program reads."""
        document: dict[str, Any] = {
            "units": {name: list(UNITS[name]) for name in self.sources},
            "files": {name: FILES[name] for name in self.sources if name in FILES},
            "lines": self.lines,
            "follow": self.follow,
            **(self.since or {}),
        }
        return json.dumps(document)


def since_of(text: str) -> dict[str, float]:
    """What ``--since`` means: ``10m`` ago by the host's own clock, or a time, UTC unless it says.

    Raises :class:`FailedError` for anything else.
    """
    match = re.fullmatch(r"(\d+)\s*([smhd])", text.strip())
    if match is not None:
        return {"ago": float(int(match[1]) * _UNITS_S[match[2]])}
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise FailedError(
            Fault.OPTION_INVALID,
            f"--since {text}: neither how long ago (30s, 10m, 2h, 1d) nor a time "
            "(2026-01-31 or 2026-01-31T09:30)",
            next=Do("rocminfra logs --since 10m"),
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return {"since": moment.timestamp()}


def read_logs(
    options: Options, progress: Progress, wanted: Wanted, show: Callable[[Line], None] | None = None
) -> tuple[Answered[tuple[Line, ...]], ...]:
    """The logs of every host.

    + show: called with each line as it comes; the answers are empty then
    Raises :class:`FailedError` for wrong options.
    """
    with Session(request_of("logs", options), progress) as session:
        session.connect()

        def ask(_session: Session, host: Host, _settings: object) -> tuple[Line, ...]:
            lines = _lines(session, host, wanted)
            if show is None:
                return tuple(lines)
            for line in lines:
                show(line)
            return ()

        return ask_in(session, ask)


def merged(answers: Sequence[Answered[tuple[Line, ...]]]) -> list[Line]:
    """Lines of all hosts in the order of their times; those without one keep their place."""
    found = []
    for answered in answers:
        last = ""
        for line in answered.answer or ():
            last = line.time or last
            found.append((last, line))
    return [line for _, line in sorted(found, key=lambda item: item[0])]


def _lines(session: Session, host: Host, wanted: Wanted) -> Iterator[Line]:
    what = f"the logs of {host.name} could not be read"
    program = ("read_logs", wanted.request(), Fault.LOGS_UNREADABLE, what)
    for text in streamed(session.state, host, *program):
        item = json.loads(text)
        yield Line(
            host.name,
            item["time"],
            item["source"],
            item["unit"],
            session.redact.text(item["text"]),
        )
