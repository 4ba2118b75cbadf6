"""Running the machine's own tools: what they said is in the error, never lost."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from rocminfra.failure import Do, FailedError, Fault


def run(
    command: Sequence[str],
    *,
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
    next_step: str | None = None,
) -> str:
    """Run ``command`` and return what it printed.

    Raises :class:`FailedError` with the tool's stderr when it fails, is missing or takes too long.
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
        raise FailedError(
            Fault.LAB_REQUIREMENT_MISSING, f"{command[0]} is not installed", next=_step(next_step)
        ) from None
    except subprocess.TimeoutExpired:
        raise FailedError(
            Fault.LAB_COMMAND_FAILED,
            f"`{' '.join(command)}` took longer than {timeout_s:.0f} s",
            next=_step(next_step),
        ) from None
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()[-10:]
        raise FailedError(
            Fault.LAB_COMMAND_FAILED,
            f"`{' '.join(command)}` failed with exit code {result.returncode}",
            tuple(said),
            _step(next_step),
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


def _step(text: str | None) -> Do | None:
    return None if text is None else Do(text)
