"""Files that are kept as they were, for a way back."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact


@dataclass(frozen=True)
class Kept:
    """What is kept in a folder.

    + label: of what
    + note: what was written down with it
    """

    label: str
    note: str


class KeptFiles(HostFact[Kept | None]):
    """What :mod:`rocminfra.operations.kept_files` keeps in a folder, or None."""

    def command(self, folder: str) -> StringCommand:
        path = QuoteString(f"{folder}/index.json")
        return StringCommand("! test -e", path, "|| cat", path)

    def process(self, output: list[str]) -> Kept | None:
        if not output:
            return None
        found = json.loads("\n".join(output))
        return Kept(found["label"], found["note"])
