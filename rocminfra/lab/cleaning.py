"""``rocminfra lab clean``: everything of the lab away, whatever ended it.

Standard library only, so that it works before the project's environment is there and after.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import droplet_record, lock, processes, removal, requirements
from rocminfra.lab.paths import LabPaths, is_ours

LOCK_WAIT_S = 30
_WORK = {"demo": "a demo", "base": "the building of a base root", "assets": "the making of images"}


def clean(paths: LabPaths, cache: bool, say: Callable[[str], None], dead: bool = False) -> None:
    """Take away every droplet and what killed runs left.

    + cache: remove the cache as well, with what the lab keeps in it and nothing else
    + dead: only what killed runs left; droplets that run stay
    + say: told what was there

    A demo that runs, or has been killed and left programs behind, is ended: without its droplet
    it could only fail. Raises :class:`FailedError` when something stays.
    """
    requirements.check_root()
    if not dead:
        _end_runs(paths, say)
    with lock.exclusive("lab", LOCK_WAIT_S, paths.locks, say):
        spared = processes.running(paths) if dead else frozenset()
        found = removal.clean(paths, spared)
        if not droplet_record.names(paths):
            _remove_locks(paths)
    for line in found.lines:
        say(f"removed: {line}")
    if not found:
        say("nothing of the lab was left on this machine" if not dead else "nothing was left over")
    if cache and paths.cache.exists():
        _remove_cache(paths.cache, say)


def _end_runs(paths: LabPaths, say: Callable[[str], None]) -> None:
    """End demos, and `up` before it has a droplet; what has one ends with it."""
    for name, folder in (
        ("demo", paths.locks),
        ("base", paths.cache / ".locks"),
        ("assets", paths.cache / ".locks"),
    ):
        pids = lock.started_under(name, folder)
        if pids:
            who = lock.holder(name, folder) or "left behind by one that was killed"
            say(f"ending {_WORK[name]}: {who}")
            left = processes.end(pids)
            if left:
                raise FailedError(
                    Fault.LAB_NOT_REMOVED, f"cannot be ended: {', '.join(str(pid) for pid in left)}"
                )


def _remove_cache(cache: Path, say: Callable[[str], None]) -> None:
    """Remove what the lab keeps in its cache, and the cache if nothing else is in it."""
    folder = cache.resolve()
    mounts = tuple(place for place in removal.mounts_below(folder) if place != str(folder))
    if mounts:
        raise FailedError(
            Fault.LAB_NOT_REMOVED,
            f"something is mounted in the cache {cache}, and removing it would remove that too",
            mounts,
            Do(f"umount {shlex.quote(mounts[0])}"),
        )
    say(f"removing the cache {cache}")
    others = []
    for entry in sorted(folder.iterdir()):
        if not is_ours(entry):
            others.append(entry.name)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if others:
        say(f"not the lab's, so it stays in {cache}: {', '.join(others)}")
        return
    with contextlib.suppress(OSError):  # a mount point, or a link to a folder
        cache.rmdir()


def _remove_locks(paths: LabPaths) -> None:
    """Remove lock files that nobody else holds, this process's own included.

    Whoever waits for a removed lock file notices, and makes a new one.
    """
    for file in paths.locks.glob("*.lock"):
        if file.stem == "lab" or lock.holder(file.stem, paths.locks) is None:
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        paths.locks.rmdir()
        paths.state.rmdir()
