"""Text of a file on the host."""

from __future__ import annotations

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact


class FileContents(HostFact[list[str]]):
    """Lines of a file; none when there is no such file."""

    @staticmethod
    def default() -> list[str]:
        return []

    def command(self, path: str) -> StringCommand:
        """Shell command.

        + path: absolute path on the host
        """
        return StringCommand("! test -e", QuoteString(path), "|| cat", QuoteString(path))

    def process(self, output: list[str]) -> list[str]:
        return output
