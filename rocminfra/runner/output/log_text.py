"""Lines of logs as people, or programs, read them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable

from rocminfra.runner.hosts.logs import Line
from rocminfra.runner.output.terminal import styled

Show = Callable[[Line], None]
_SOURCE_WIDTH = len("benchmark")


def print_lines(lines: Iterable[Line], several: bool) -> None:
    """Lines that were read, in their order.

    + several: whether there is more than one host to tell apart
    """
    for line in lines:
        print(_words(line, several))


def follower() -> Show:
    """Prints lines as they come; names the host, because there may be several."""

    def show(line: Line) -> None:
        print(_words(line, True), flush=True)

    return show


def json_line(line: Line) -> None:
    """A line as one JSON object on a line of its own."""
    print(json.dumps(dataclasses.asdict(line), ensure_ascii=False), flush=True)


def _words(line: Line, several: bool) -> str:
    moment = "-" * 8 if line.time is None else line.time[:19].replace("T", " ") + "Z"
    host = f"[{line.host}] " if several else ""
    head = f"{moment:20}  {host}{line.source:{_SOURCE_WIDTH}}"
    return f"{styled(head, 'blue', sys.stdout)}  {line.text}"
