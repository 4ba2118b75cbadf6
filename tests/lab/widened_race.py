"""GuideLLM with the race at the end of a run made wide, with our launcher's check or without.

    python -I widened_race.py PROGRAM patched|plain ARGUMENTS…

Runs in GuideLLM's environment on a droplet, in place of ``warm_parent.py`` or
``guidellm_launcher.py``. The window between the last request and the flag that
says so is 0.4 to 6 ms for few streams; 20 ms more make the race the rule.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Iterator
from typing import Any

WIDER_S = 0.02


def widen() -> None:
    """Sleep where GuideLLM's generator of requests is resumed after the last one."""
    group = importlib.import_module("guidellm.scheduler.worker_group").WorkerGroupState
    original = group.requests_generator

    def requests_generator(self: Any, requests: Any) -> Iterator[Any]:
        for item in original(self, requests):
            yield item
            if self._state.end_queuing_time is not None:
                time.sleep(WIDER_S)

    group.requests_generator = requests_generator


def main(path: str, mode: str, arguments: list[str]) -> int:
    """Run the program at ``path``."""
    spec = importlib.util.spec_from_file_location("bench_program", path)
    assert spec is not None
    assert spec.loader is not None
    program: Any = importlib.util.module_from_spec(spec)
    # Where its dataclasses look.
    sys.modules[spec.name] = program
    spec.loader.exec_module(program)
    launcher = getattr(program, "guidellm_launcher", program)
    original = launcher.patch

    def patch(version: str, record: Any) -> Any:
        # Here everything is imported, and the process is the point's.
        widen()
        # As any version but the one that is known.
        return original("another" if mode == "plain" else version, record)

    launcher.patch = patch
    code: int = program.main(arguments) if program is launcher else program.main()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
