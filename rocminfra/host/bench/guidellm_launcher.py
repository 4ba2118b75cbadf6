"""Start GuideLLM so that it ends reliably, and can report where it hangs if it does not.

    python -I guidellm_launcher.py run --config guidellm.json …

It runs with the Python of GuideLLM's environment, in a point's folder. The arguments are
GuideLLM's.

GuideLLM 0.8.1 has a race at the end of a run (``guidellm/scheduler/worker_group.py``). At
``max_duration`` the generator yields one last request and sets its stop flag only when it is
resumed. When the last answer arrives in between, no further callback comes. The remaining poll sets
the stop flags, but only the callback checks whether everything is done, so GuideLLM waits forever.
:func:`patch` adds that check to the poll. It is written for 0.8.1 and does not touch any other
version.

Standard library only: this file is copied to the host as it is. Worker processes import it again
without the patch, which only concerns the scheduler in the main process.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import metadata
from multiprocessing import forkserver
from pathlib import Path
from types import FrameType
from typing import Any

RECORD = "launch.json"
STACKS = "stacks.txt"
STACKS_SIGNAL = signal.SIGUSR1
PATCHED_VERSION = "0.8.1"

# GuideLLM's setting of how workers are started: spawn, or forkserver.
CONTEXT_VARIABLE = "GUIDELLM__MP_CONTEXT_TYPE"
# What a worker of 0.8.1 imports; a package that is missing is skipped.
_WORKER_MODULES = ("guidellm.scheduler", "guidellm.backends")
# Passed to the workers, which run in the same folder but are not started by this program.
_STACKS_VARIABLE = "ROCMINFRA_STACKS"

# Starts the server of workers, calls its argument there, and says what it is.
Share = Callable[[Callable[[], None]], str]


class Record:
    """The record of this start, ``launch.json``, with Unix times of its steps.

    + path: the file
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, Any] = {
            "guidellm": None,
            "patched": False,
            "why": None,
            "began": round(time.time(), 3),
            "imported": None,
            "workers": None,
            "first_request": None,
            "ended": None,
            "exit_code": None,
            "healed": 0,
        }

    def update(self, **values: Any) -> None:
        """Change values and write the file. A full disk must not end a measurement."""
        self.values.update(values)
        new = self._path.with_name(f".{self._path.name}.new")
        with contextlib.suppress(OSError):
            new.write_text(json.dumps(self.values, sort_keys=True) + "\n", encoding="utf-8")
            new.replace(self._path)


class Recheck:
    """GuideLLM's ``WorkerGroupState.update_state``, with the check that its poll lacks.

    + original: the original method
    + record: notes the first request, and a run that would have hung
    """

    def __init__(self, original: Callable[..., Any], record: Record) -> None:
        self._original = original
        self._record = record
        self.group: Any = None

    def __call__(self, group: Any, *arguments: Any, **named: Any) -> Any:
        """Return what the method returns."""
        result = self._original(group, *arguments, **named)
        if arguments or named:
            if self.group is not group:
                self._note_first_request(group, arguments[0] if arguments else named.get("info"))
        else:
            # Only the poll calls it without arguments.
            self._recheck(group, result)
        return result

    def _note_first_request(self, group: Any, info: Any) -> None:
        # A request is queued long before the load begins, and is pending before it is sent.
        if info is not None and info.status not in ("queued", "pending"):
            # A process that runs a whole stage has a group for each of its points.
            self.group = group
            if self._record.values["first_request"] is None:
                self._record.update(first_request=round(time.time(), 3))

    def _recheck(self, group: Any, result: Any) -> None:
        """The three checks of ``received_callback``, in its order."""
        # Once the sender has stopped, nothing else can add a request.
        if not group.send_requests_stopped_event.is_set():
            return
        state = result.state
        if state.queued_requests == 0:
            group.requests_generated_event.set()
        if result.stop_processing:
            group.constraint_reached_event.set()
        if (
            state.processed_requests == state.created_requests
            and group.stop_send_requests_event.is_set()
            and group.requests_generated_event.is_set()
            and group.constraint_reached_event.is_set()
            and not group.shutdown_event.is_set()
        ):
            group.shutdown_event.set()
            # All answers are in, so no callback would have made this check.
            self._record.update(healed=self._record.values["healed"] + 1)


def patch(version: str, record: Record) -> Recheck | None:
    """Add the check to GuideLLM's scheduler, and note in ``record`` whether and why.

    + version: GuideLLM's version
    + record: record of this start
    """
    if version != PATCHED_VERSION:
        why = f"the missing check is known for {PATCHED_VERSION} only"
        record.update(guidellm=version, patched=False, why=why)
        return None
    group = importlib.import_module("guidellm.scheduler.worker_group").WorkerGroupState
    recheck = Recheck(group.update_state, record)

    def update_state(self: Any, *arguments: Any, **named: Any) -> Any:
        return recheck(self, *arguments, **named)

    group.update_state = update_state
    why = "adds to the poll the check for the end of a run that only its callback makes"
    record.update(guidellm=version, patched=True, why=why)
    return recheck


def main(arguments: Sequence[str], share: Share | None = None) -> int:
    """Run GuideLLM in this process.

    + arguments: GuideLLM's arguments
    + share: starts the server that workers are forked from; None for one that imports by itself
    """
    os.environ[_STACKS_VARIABLE] = stacks = str(Path(STACKS).resolve())
    record = Record(Path(RECORD))
    record.update(workers=start_server(stacks, share or share_imports))
    recheck = patch(metadata.version("guidellm"), record)
    answer_with_stacks(stacks, recheck)
    # Its command would do this next; done here, it is told from the work that follows.
    importlib.import_module("guidellm.benchmark.entrypoints")
    cli = importlib.import_module("guidellm.cli").cli
    record.update(imported=round(time.time(), 3))
    try:
        cli(args=list(arguments), prog_name="guidellm")
    except SystemExit as end:
        # As sys.exit() has it: nothing is success, a text is a failure.
        code = 0 if end.code is None else end.code
        record.update(exit_code=code if isinstance(code, int) else 1)
        raise
    finally:
        record.update(ended=round(time.time(), 3))
    return 0


def start_server(stacks: str, share: Share) -> str:
    """Let GuideLLM's workers be forked from one process, if it was told to.

    Otherwise each of up to ten workers imports torch anew. GuideLLM must have been told with its
    own setting, :data:`CONTEXT_VARIABLE`. Returns where workers come from: ``own`` for an
    interpreter each, or what ``share`` returns.

    + stacks: where the server's children write their stacks
    + share: starts it
    """
    if os.environ.get(CONTEXT_VARIABLE) != "forkserver":
        return "own"
    multiprocessing.set_forkserver_preload(list(_WORKER_MODULES))
    return share(lambda: answer_with_stacks(stacks))


def share_imports(prepare: Callable[[], None]) -> str:
    """A server that imports GuideLLM, beside the imports of this process, and in its control group.

    + prepare: not needed, because workers import this file
    """
    del prepare
    forkserver.ensure_running()
    return "cold"


def answer_with_stacks(path: str, recheck: Recheck | None = None) -> None:
    """Append the stacks of all threads and tasks to ``path`` on every :data:`STACKS_SIGNAL`.

    + path: the file
    + recheck: its scheduler's state is written, too
    """
    # Kept open: faulthandler writes to the descriptor even when no Python code can run.
    stream = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def write_tasks(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(Exception):
            stream.write(f"\nprocess {os.getpid()}\n")
            if recheck is not None and recheck.group is not None:
                stream.write(_scheduler_state(recheck.group))
            for task in _tasks():
                stream.write(f"\n{task.get_name()}: {task.get_coro()}\n")
                for entry in task.get_stack():
                    stream.write("".join(traceback.format_stack(entry, limit=1)))
            stream.flush()

    signal.signal(STACKS_SIGNAL, write_tasks)
    faulthandler.register(STACKS_SIGNAL, file=stream, all_threads=True, chain=True)


def _tasks() -> list[Any]:
    try:
        return list(asyncio.all_tasks())
    except RuntimeError:
        return []


def _scheduler_state(group: Any) -> str:
    flags = (
        *("stop_send_requests_event", "send_requests_stopped_event", "requests_generated_event"),
        *("constraint_reached_event", "shutdown_event", "error_event"),
    )
    lines = [f"{name}: {getattr(group, name).is_set()}\n" for name in flags]
    return f"{''.join(lines)}{group._state!r}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
elif __name__ == "__mp_main__" and _STACKS_VARIABLE in os.environ:
    answer_with_stacks(os.environ[_STACKS_VARIABLE])
