"""The weights of a model on a host: how many files, and whether a download is not whole."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact


@dataclass(frozen=True)
class Weights:
    """What is there.

    + files: of weights
    + size_bytes: of all of them
    + incomplete: files of a download that is under way, or was cut off
    """

    files: int = 0
    size_bytes: int = 0
    incomplete: int = 0


class ModelWeights(HostFact[Weights]):
    """Weights below a folder, through the links of the hub's cache."""

    @staticmethod
    def default() -> Weights:
        return Weights()

    def command(self, path: str) -> StringCommand:
        """Shell command.

        + path: a model's folder, or its folder in the hub's cache
        """
        names = r"\( -name '*.safetensors' -o -name '*.bin' -o -name '*.incomplete' \)"
        return StringCommand(
            *("! test -d", QuoteString(path), "|| find -L", QuoteString(path)),
            # Blobs have no suffix, so every file is met once, by its name in the snapshot.
            rf"-type f {names} -printf '%s %f\n'",
        )

    def process(self, output: list[str]) -> Weights:
        found = [line.split(" ", 1) for line in output if " " in line]
        whole = [int(size) for size, name in found if not name.endswith(".incomplete")]
        return Weights(len(whole), sum(whole), len(found) - len(whole))
