"""What a machine is still busy with after its first boot."""

from __future__ import annotations

import json
from typing import Any

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call
from rocminfra.planning.fresh_host import AptHolder, Container, Observed


class FreshHost(HostFact[Observed]):
    """cloud-init, apt's locks, a pending reboot, and containers that others started.

    Reads only.

    .. code:: python

        host.get_fact(FreshHost)
    """

    def command(self, asked_at: float | None = None) -> str:
        """Shell command.

        + asked_at: a time, for every look but the first: it makes each a command of its own, which
          nothing answers from an earlier one, or asks before it is wanted
        """
        mark = "" if asked_at is None else f" # {float(asked_at)!r}"
        return f"{call('fresh_host')} || echo 'exit code' $?{mark}"

    @staticmethod
    def default() -> Observed:
        """What is known when the command printed nothing."""
        return Observed(cloud_init="unknown", problem="nothing was printed (is python3 there?)")

    def process(self, output: list[str]) -> Observed:
        """Read the program's document."""
        try:
            return parse(json.loads(output[-1]))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return Observed(cloud_init="unknown", problem="; ".join(output[-2:]))


def parse(seen: Any) -> Observed:
    """The record of what ``host/sent/fresh_host.py`` printed."""
    return Observed(
        cloud_init=str(seen["cloud_init"]["status"]),
        cloud_init_errors=tuple(str(item) for item in seen["cloud_init"]["errors"]),
        apt=tuple(
            AptHolder(int(item["pid"]), item["command"], str(item["lock"])) for item in seen["apt"]
        ),
        reboot=None if seen["reboot"] is None else tuple(str(item) for item in seen["reboot"]),
        containers=tuple(
            Container(
                str(item["name"]),
                str(item["image"]),
                tuple(item["labels"]),
                tuple(int(port) for port in item["ports"]),
                bool(item["host_network"]),
                bool(item["gpu"]),
            )
            for item in seen["containers"]
        ),
        listening=tuple(int(port) for port in seen["listening"]),
        read_only=tuple(str(path) for path in seen["read_only"]),
    )
