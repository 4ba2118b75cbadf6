"""Whether the engine serves, as the readiness program on the host says."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact
from rocminfra.host_paths import READINESS

LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class EngineStatus:
    """One look at the engine.

    + state: ``ready``, ``loading``, ``wrong`` or ``dead``; ``hung`` only when it was asked with
      patience
    + reason: why it is not ready
    + config: hash of unit, environment and image that the running container was started with
    + container: id of the running container, empty when there is none
    + log: the unit's last lines, when it is not ready
    """

    state: str
    reason: str = ""
    config: str = ""
    container: str = ""
    log: tuple[str, ...] = ()


class EngineReadiness(HostFact[EngineStatus]):
    """Status of the engine; ``dead`` when nothing of ours is on the host."""

    @staticmethod
    def default() -> EngineStatus:
        return EngineStatus("dead", "the engine is not installed")

    def command(
        self,
        unit: str,
        container: str,
        port: int,
        model: str,
        wait_s: int = 0,
        address: str = LOCAL,
        patience_s: int | None = None,
    ) -> StringCommand:
        """Shell command.

        + unit, container: names of the unit and of its container
        + port, address: where the engine is asked, on the host itself
        + model: name under which it should be served
        + wait_s: seconds to wait while it loads
        + patience_s: seconds for all answers together, after which an engine that does nothing is
          ``hung``; None waits longer, and calls it ``loading``
        """
        # A program of an earlier version may be installed, which knows no address.
        elsewhere = () if address == LOCAL else ("--host", QuoteString(address))
        # A variable, because a program of an earlier version refuses an option that it lacks.
        patience = "" if patience_s is None else f"ROCMINFRA_PATIENCE_S={patience_s} "
        return StringCommand(
            # Without site packages, which are a third of Python's start.
            f"! test -e {READINESS} || {patience}python3 -S {READINESS}",
            *("--unit", QuoteString(unit), "--container", QuoteString(container)),
            *("--port", str(port), "--model", QuoteString(model), "--wait", str(wait_s)),
            *elsewhere,
        )

    def process(self, output: list[str]) -> EngineStatus:
        found = json.loads("\n".join(output))
        return EngineStatus(
            state=found["state"],
            reason=found["reason"],
            config=found["config"],
            container=found["container"],
            log=tuple(found.get("log", ())),
        )
