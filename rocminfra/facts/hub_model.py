"""A downloaded model: is everything that its marker names still there."""

from __future__ import annotations

import json

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call


class HubModelProblem(HostFact[str]):
    """Why a downloaded model is not whole; an empty text when it is."""

    @staticmethod
    def default() -> str:
        return "the host does not say (is python3 there?)"

    def requires_command(self, marker: str) -> str:
        return "python3"

    def command(self, marker: str) -> str:
        """Shell command.

        + marker: file that was written when the download was complete
        """
        return call("hub_marker", marker)

    def process(self, output: list[str]) -> str:
        return str(json.loads(output[-1]))
