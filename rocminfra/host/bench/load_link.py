"""The way from the engine's host to the load generator, and what GuideLLM sees at its end.

    load_link.py check LINK     whether it can be used, as JSON
    load_link.py end LINK       the run has ended: the load generator is left, the key removed

A link is a folder, written by the operator: ``link.json``, the run's own key and the load
generator's host key.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocminfra.host.bench import load_frames, made_data
from rocminfra.host.bench.load_agent import DATASETS, TOKENIZER
from rocminfra.host.bench.load_connection import (
    HELLO_S,
    LINK,
    Connection,
    LinkError,
    connect,
    read_link,
    ssh,
)
from rocminfra.planning.bench.job_record import JobRecord

PREPARED = "prepared"
CHECK_S = 30.0
# Weights are not needed to count tokens.
_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"}
_MOST_TOKENIZER_FILE = 64 * 1024**2


@dataclass(frozen=True)
class Seen:
    """What GuideLLM is told.

    + target: base address of the engine
    + tokenizer: folder or repository
    + made: path of the data set that was made, or None
    """

    target: str
    tokenizer: str
    made: str | None


def seen(job: JobRecord) -> Seen:
    """What GuideLLM is told, wherever it runs."""
    if job.load_generator is None:
        return Seen(job.target, job.tokenizer, made_data.path(job))
    link = read_link(Path(job.load_generator.link))
    data = job.scenario.data
    made = None
    if data["kind"] == made_data.KIND:
        made = made_data.path_in(data, f"{link['work']}/{DATASETS}")
    tokenizer = f"{link['work']}/{TOKENIZER}" if _tokenizer_files(job) else job.tokenizer
    return Seen(str(link["target"]), tokenizer, made)


def ask(
    folder: Path, verb: str, answer: str, order: Mapping[str, Any], files: list[Path], most_s: float
) -> tuple[Any, Connection]:
    """Ask the load generator for something that it answers with None or a problem.

    + answer: name of the answer
    + order: what is asked for
    + files: files to send before
    + most_s: longest time, in seconds

    Raises :class:`LinkError`.
    """
    found: list[Any] = []
    answered = threading.Event()

    def take(header: dict[str, Any], _body: bytes) -> None:
        if answer in header and not found:
            found.append(header[answer])
            answered.set()

    connection = connect(folder, verb, take)
    try:
        for path in files:
            load_frames.send_file(connection.send, path, path.name)
        connection.send({"order": dict(order)})
        deadline = time.monotonic() + most_s
        while not answered.wait(0.1) and not connection.ended.is_set():
            if time.monotonic() > deadline:
                raise LinkError(f"no answer within {most_s:g} s")
        if not found:
            raise LinkError(connection.last_words or "the connection was lost")
        return found[0], connection
    finally:
        connection.close()


def check(folder: Path) -> dict[str, Any]:
    """Whether the load generator reaches the engine, and how far its clock is from this host's.

    + folder: the link
    """
    try:
        link = read_link(folder)
        order = {"model": link.get("model", ""), "files": link.get("files", [])}
        found, connection = ask(folder, "check", "checked", order, [], CHECK_S)
    except OSError as error:
        return {"connected": False, "problem": str(error), "about": None, "clock": None}
    told = found if isinstance(found, dict) else {}
    return {
        "connected": True,
        "problem": None if found is None else load_frames.plain(told.get("why")),
        "about": None if found is None else load_frames.plain(told.get("about")),
        "clock": connection.clock.record,
    }


def prepare(job: JobRecord) -> str | None:
    """Bring to the load generator what every point needs. Returns None, or why that failed."""
    load = job.load_generator
    assert load is not None
    if (Path(load.link) / PREPARED).exists():
        return None
    order = {
        "data": dict(job.scenario.data),
        "environment": dict(job.environment),
        "seconds": job.scenario.overhead_seconds,
    }
    files = _tokenizer_files(job)
    if not files and job.tokenizer.startswith("/"):
        return f"{job.tokenizer} has no tokenizer that could be sent to {load.host}"
    most_s = job.scenario.overhead_seconds + 60
    try:
        problem = ask(Path(load.link), "prepare", "prepared", order, files, most_s)[0]
    except OSError as error:
        return f"the load generator {load.host} could not be prepared: {error}"
    if problem is not None:
        return load_frames.plain(problem)
    (Path(load.link) / PREPARED).touch()
    return None


def end(folder: Path) -> None:
    """Leave the load generator, and remove the run's key.

    + folder: the link; may be gone already
    """
    if (folder / LINK).exists():
        try:
            subprocess.run(
                ssh(folder, "end"),
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=HELLO_S,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            # It ends by itself when nothing is heard of the run.
            print(f"the load generator was not told of the end: {error}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    verb, folder = arguments[0], Path(arguments[1])
    if verb == "check":
        print(json.dumps(check(folder)))
    else:
        end(folder)
    return 0


def _tokenizer_files(job: JobRecord) -> list[Path]:
    """What GuideLLM needs of the model in order to count tokens."""
    folder = Path(job.tokenizer)
    if not folder.is_absolute():
        home = job.environment.get("HF_HOME", "")
        hub = Path(home) / "hub" / f"models--{job.tokenizer.replace('/', '--')}"
        revision = job.model_revision or "main"
        try:
            commit = (hub / "refs" / revision).read_text(encoding="utf-8").strip()
        except OSError:
            commit = revision
        folder = hub / "snapshots" / commit
    try:
        paths = sorted(folder.iterdir())
        return [
            path
            for path in paths
            if path.suffix not in _WEIGHTS
            # The others are taken by nobody there, and count no tokens.
            and load_frames.PLAIN.fullmatch(path.name)
            and path.is_file()
            and path.stat().st_size <= _MOST_TOKENIZER_FILE
        ]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
