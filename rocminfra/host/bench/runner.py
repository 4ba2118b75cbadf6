"""Run a benchmark on the host, detached from the client that started it.

    runner.py run FOLDER                 run FOLDER/job.json to its end
    runner.py status FOLDER [--wait 15]  progress as one JSON object
    runner.py manifest FOLDER            manifest and sizes of all results so far, as JSON
    runner.py pack FOLDER                pack the results named on stdin, a JSON list, to stdout

A run's folder contains ``job.json``, one folder per point, and at the end ``run.json`` and
``MANIFEST.sha256``. The manifest is always written. A valid point never runs again.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

from rocminfra.host.bench import files


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="benchmark runner")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "status", "manifest", "pack"):
        verbs.add_parser(verb).add_argument("folder", type=Path)
    verbs.choices["status"].add_argument("--seen", type=int, default=-1)
    verbs.choices["status"].add_argument("--wait", type=float, default=0.0)
    verbs.choices["run"].add_argument("--unit", help="systemd unit that this runs in")
    options = parser.parse_args(arguments)
    # Each verb imports what it needs: imports are most of what an answer takes.
    if options.verb == "status":
        from rocminfra.host.bench.run_status import status
        from rocminfra.planning.bench.records import as_json

        answer = status(options.folder, options.seen, options.wait)
        print(json.dumps(as_json(answer), sort_keys=True))
        return 0
    if options.verb == "manifest":
        print(json.dumps(files.listing(options.folder)))
        return 0
    if options.verb == "pack":
        files.pack(options.folder, json.load(sys.stdin), sys.stdout.buffer)
        return 0
    return _run(options.folder, options.unit)


def _run(folder: Path, unit: str | None) -> int:
    from rocminfra.host.bench import whole_run
    from rocminfra.host.bench.lock import Busy
    from rocminfra.host.bench.scopes import launcher

    def stop(number: int, frame: FrameType | None) -> None:
        # Only once: the cleanup must not be interrupted as well.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise whole_run.Stopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        record = whole_run.run(folder, launcher(unit))
    except Busy as error:
        # The other may have ended when somebody asks why this one never began.
        files.write_atomic(folder / files.REFUSED, error.holder)
        print(error, file=sys.stderr)
        return 9
    return 0 if record.state == "finished" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
