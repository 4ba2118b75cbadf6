"""Commands of `droplet run`: in a group of their own, without our token, ended when time is up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

from rocminfra.droplets.access import TOKEN, TOKEN_FILE

# What a command gets to finish: `rocminfra bench` lets the host's job go and says how to resume.
INTERRUPT_S, TERMINATE_S = 30.0, 10.0
# Names under which other tools look for the same token.
_TOKENS = (TOKEN, TOKEN_FILE, "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")


class TimeUpError(Exception):
    """The command was still running when it had to end."""


def environment(own: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: ours without the cloud's token, and ``extra``."""
    return {**{key: value for key, value in own.items() if key not in _TOKENS}, **extra}


def run(
    command: Sequence[str],
    env: Mapping[str, str],
    seconds: float,
    stdout: IO[str] | None = None,
) -> int:
    """Run a command to its end and return its exit code, 128 + N after signal N.

    What it prints goes where ours goes, its data and its messages apart. It ends with us: an
    interrupt is passed on to all of its processes.

    Raises :class:`TimeUpError`; OSError when it cannot be started.
    """
    process = subprocess.Popen(
        list(command),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        start_new_session=True,
    )
    try:
        code = process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        end(process)
        raise TimeUpError from None
    except BaseException:
        end(process)
        raise
    finally:
        # Whatever it left in the background would go on talking to a droplet that is gone.
        _signal_group(process.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command and everything that it started, gently first."""
    steps = ((signal.SIGINT, INTERRUPT_S), (signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, 5.0))
    for number, seconds in steps:
        _signal_group(process.pid, number)
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            # Not wait(): a second signal of the operator's must not leave the command behind.
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(0.05)
        if process.poll() is not None:
            return


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
