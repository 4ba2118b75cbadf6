"""A model's folder on the host, and what was copied into it."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact
from rocminfra.planning.bench.manifest import ManifestError, check_path

MANIFEST = ".rocminfra-model"
_BORDER = "--- manifest ---"


@dataclass(frozen=True)
class CopiedFile:
    """A file as it was when it was copied.

    + path: relative to the folder
    + size: bytes
    + mtime_ns: the original's modification time, nanoseconds
    + sha256: of its contents
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str

    def line(self) -> str:
        """Its line of the manifest."""
        return f"{self.sha256} {self.size} {self.mtime_ns} {self.path}"


@dataclass(frozen=True)
class Folder:
    """What is in the folder now (path to size in bytes) and what was copied there."""

    sizes: tuple[tuple[str, int], ...] = ()
    copied: tuple[CopiedFile, ...] = ()


class ModelFolder(HostFact[Folder]):
    """A folder of a model; empty when it does not exist."""

    @staticmethod
    def default() -> Folder:
        return Folder()

    def command(self, path: str) -> StringCommand:
        return StringCommand(
            *("! test -d", QuoteString(path), "|| { cd", QuoteString(path)),
            "&& find . -type f -printf '%s %P\\n';",
            f"echo '{_BORDER}'; ! test -f {MANIFEST} || cat {MANIFEST}; }}",
        )

    def process(self, output: list[str]) -> Folder:
        border = output.index(_BORDER)
        sizes = []
        for line in output[:border]:
            size, path = line.split(" ", 1)
            sizes.append((path, int(size)))
        return Folder(tuple(sizes), parse_manifest(output[border + 1 :]))


def parse_manifest(lines: list[str]) -> tuple[CopiedFile, ...]:
    """The manifest's files; a damaged line is left out, so that its file is copied again.

    The manifest is a file on the scratch disk, which others may write: a path that leads out of
    the folder is damage too.
    """
    files = []
    for line in lines:
        fields = line.split(" ", 3)
        if len(fields) == 4 and fields[1].isdigit() and fields[2].isdigit():
            try:
                path = check_path(fields[3])
            except ManifestError:
                continue
            files.append(CopiedFile(path, int(fields[1]), int(fields[2]), fields[0]))
    return tuple(files)
