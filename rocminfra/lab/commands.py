"""Running the machine's own tools: what they said is in the error, never lost."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from rocminfra.lab.errors import UNEXPECTED, LabError


def run(
    command: Sequence[str],
    *,
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
    next_command: str | None = None,
) -> str:
    """Run ``command`` and return what it printed.

    Raises :class:`LabError` with the tool's stderr when it fails, is missing or takes too long.
    """
    try:
        result = subprocess.run(
            list(command),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=env,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not installed", next_command=next_command) from None
    except subprocess.TimeoutExpired:
        raise LabError(
            f"`{' '.join(command)}` took longer than {timeout_s:.0f} s",
            next_command=next_command,
            code=UNEXPECTED,
        ) from None
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()[-10:]
        raise LabError(
            f"`{' '.join(command)}` failed with exit code {result.returncode}",
            why=tuple(said),
            next_command=next_command,
            code=UNEXPECTED,
        )
    return result.stdout


def succeeds(command: Sequence[str], *, timeout_s: float = 60) -> bool:
    """Whether ``command`` ends with 0; for steps whose failure is looked at another way."""
    try:
        result = subprocess.run(
            list(command),
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0
