"""``rocminfra lab clean``: everything of the lab away, whatever ended it.

Standard library only, so that it works before the project's environment is there and after.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

from rocminfra.lab import lock, removal, requirements
from rocminfra.lab.errors import LOCKED, LabError
from rocminfra.lab.paths import LabPaths

LOCK_WAIT_S = 30


def clean(paths: LabPaths, cache: bool, say: Callable[[str], None]) -> None:
    """Take away every droplet and what killed runs left.

    + cache: remove the cache as well
    + say: told what was there

    Raises :class:`LabError` when a demo runs, or something stays.
    """
    requirements.check_root()
    demo = lock.holder("demo", paths.locks)
    if demo is not None:
        raise LabError(
            f"a demo is running: {demo}",
            next_command="wait for it, or end that process; then: make clean-lab",
            code=LOCKED,
        )
    if paths.state.exists():
        with lock.exclusive("lab", wait_s=LOCK_WAIT_S, folder=paths.locks):
            found = removal.clean(paths)
            # While this process holds it: whoever waits for a removed lock file makes a new one.
            shutil.rmtree(paths.locks, ignore_errors=True)
        if not any(paths.state.iterdir()):
            paths.state.rmdir()
    else:
        found = removal.clean(paths)
    for line in found.lines:
        say(f"removed: {line}")
    if not found:
        say("nothing of the lab is left on this machine")
    if cache and paths.cache.exists():
        say(f"removing the cache {paths.cache}")
        shutil.rmtree(paths.cache)
