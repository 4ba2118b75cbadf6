"""`rocminfra init`: the playbook in a folder of the user's own."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.playbook_files import FilesInTheWay, LaidOut, lay_out

SHOWN = 5


def init(folder: Path, ci: bool = False) -> LaidOut:
    """Lay the playbook out; raises :class:`FailedError` when files are in the way.

    + ci: also workflows
    """
    try:
        return lay_out(folder, ci=ci)
    except FilesInTheWay as error:
        files = [str(file) for file in error.files[:SHOWN]]
        if len(error.files) > SHOWN:
            files.append(f"… and {len(error.files) - SHOWN} more")
        raise FailedError(
            Fault.FOLDER_HAS_FILES,
            f"{folder} already has files of these names; nothing was written",
            tuple(files),
            Do(_elsewhere(folder, error.files, ci)),
        ) from None
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE, f"cannot write to {folder}: {error.strerror}", (str(error),)
        ) from None


def _elsewhere(folder: Path, there: Sequence[Path], ci: bool) -> str:
    """A command that does not meet these files: use the playbook that is there, or another name."""
    if folder / "deploy.py" in there and not ci:
        step = "rocminfra plan   # the playbook is here already"
        here = folder.resolve() == Path.cwd().resolve()
        return step if here else f"cd {shlex.quote(str(folder))} && {step}"
    # `.` and `..` have a name only when they are looked at.
    name = folder.resolve().name or "playbook"
    numbered = (Path(f"{name}-{number}") for number in itertools.count(2))
    free = next(path for path in numbered if not path.exists())
    return f"rocminfra init {shlex.quote(str(free))}{' --ci' if ci else ''}"


def next_commands(folder: Path) -> tuple[str, ...]:
    """What to do in a folder that was just laid out."""
    steps = []
    if folder.resolve() != Path.cwd().resolve():
        steps.append(f"cd {shlex.quote(str(folder))}")
    return (
        *steps,
        "cp inventory/hosts.example.yaml inventory/hosts.yaml   # then write your hosts into it",
        "rocminfra plan",
        "rocminfra apply",
    )
