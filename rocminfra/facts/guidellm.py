"""GuideLLM's environment on the host."""

from __future__ import annotations

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact

MARKER = ".complete"


class GuidellmEnvironment(HostFact[str | None]):
    """What a complete environment was made of, or None when there is none or only a part."""

    def command(self, path: str) -> StringCommand:
        marker = QuoteString(f"{path}/{MARKER}")
        return StringCommand("! test -f", marker, "|| cat", marker)

    def process(self, output: list[str]) -> str | None:
        return "\n".join(output).strip() or None
