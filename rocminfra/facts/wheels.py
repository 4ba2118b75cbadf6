"""A folder of wheels on the host."""

from __future__ import annotations

import json
import re
from typing import Any

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call
from rocminfra.planning.wheels import Wheel, WheelLook


class WheelFolder(HostFact[WheelLook]):
    """Wheels of a folder, what they need, and the Python that would install them."""

    def command(self, path: str) -> str:
        return f"{call('wheel_look', path)} || echo 'exit code' $?"

    @staticmethod
    def default() -> WheelLook:
        """What is known when the command printed nothing."""
        return WheelLook(problem="nothing was printed (is python3 there?)")

    def process(self, output: list[str]) -> WheelLook:
        try:
            return parse(json.loads(output[-1]))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return WheelLook(problem="; ".join(output[-2:]))


def parse(seen: Any) -> WheelLook:
    """The record of what ``host/sent/wheel_look.py`` printed."""
    libc, version = seen["libc"]
    glibc = re.match(r"(\d+)\.(\d+)", version) if libc == "glibc" else None
    return WheelLook(
        kind=str(seen["kind"]),
        wheels=tuple(
            Wheel(str(one["file"]), None if one["requires"] is None else tuple(one["requires"]))
            for one in seen["wheels"]
        ),
        others=tuple(map(str, seen["others"])),
        markers={str(key): str(value) for key, value in seen["markers"].items()},
        glibc=None if glibc is None else (int(glibc[1]), int(glibc[2])),
    )
