"""A run's folder: its hosts, their records, and which files are not what was collected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.manifest import (
    MANIFEST,
    PARTIAL,
    ManifestError,
    differences,
    parse_manifest,
)
from rocminfra.planning.bench.outcome_records import STAGE, PointRecord, RunRecord
from rocminfra.planning.bench.records import RecordError, read
from rocminfra.planning.bench.verified import Verified, VerifiedFiles, file_state
from rocminfra.report.reading.lines import UnreadableError, read_object

# A point whose copies of these differ from what was collected is not a measurement.
DECIDING = ("point.json", "report.json", "requests.jsonl")
_T = TypeVar("_T")
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class PointFolder:
    """A point's folder.

    + record: None when it cannot be read
    + problem: why it cannot
    + changed: files of it that are missing or not what was collected
    """

    path: Path
    record: PointRecord | None
    problem: str | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostFolder:
    """A host's part of a run.

    + problems: what is missing or cannot be read, a sentence each
    """

    path: Path
    job: JobRecord | None
    run: RunRecord | None
    points: tuple[PointFolder, ...]
    never_run: tuple[str, ...]
    problems: tuple[str, ...]


def read_hosts(
    folder: Path, verified: Mapping[Path, VerifiedFiles] | None = None
) -> tuple[HostFolder, ...]:
    """The hosts of a run.

    + folder: of the run, such as ``results/20260513T101500Z``, or of one host in it
    + verified: files of hosts' folders that were hashed a moment ago, and are not hashed again
      unless somebody has touched them since

    Raises :class:`FailedError` when it holds no benchmark.
    """
    if not folder.is_dir():
        raise FailedError(
            Fault.RESULTS_NOT_FOUND, f"there is no folder {folder}", next=Do("rocminfra bench")
        )
    known = verified or {}
    if _is_host(folder):
        return (_host(folder, known.get(folder, {})),)
    found = tuple(
        _host(path, known.get(path, {})) for path in sorted(folder.iterdir()) if _is_host(path)
    )
    if not found:
        raise FailedError(
            Fault.RESULTS_NOT_FOUND,
            f"{folder} holds no results of a benchmark",
            (f"a host's folder has a job.json or a {PARTIAL}, and a folder for every point",),
            Do("name the folder of one run, such as results/20260513T101500Z"),
        )
    return found


def _is_host(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith("."):
        return False
    names = ("job.json", "run.json", PARTIAL)
    return any((path / name).is_file() for name in names) or any(path.glob("*/point.json"))


def _host(path: Path, verified: VerifiedFiles) -> HostFolder:
    problems: list[str] = []
    if (path / PARTIAL).is_file():
        text = (path / PARTIAL).read_text(encoding="utf-8", errors="replace")
        problems.extend(f"incomplete: {line}" for line in text.splitlines() if line)
    job = _read(JobRecord, path / "job.json", problems)
    run = _read(RunRecord, path / "run.json", problems)
    if job is None and not (path / "job.json").exists():
        problems.append("job.json is missing: nobody can say what was asked for")
    if run is None and not (path / "run.json").exists():
        problems.append("run.json is missing: the run did not come to its end")
    if run is not None and run.state != "finished":
        problems.append(f"the run was {run.state} before its end")
    changed = _changed(path, verified, problems)
    points = []
    for folder in sorted(one for one in path.iterdir() if one.is_dir()):
        if folder.name.startswith(".") or folder.name == "superseded":
            continue
        if (folder / STAGE).is_file():
            # A process that ran a whole stage: its points have folders of their own.
            continue
        own = tuple(
            text.removeprefix(f"{folder.name}/")
            for text in changed
            if text.startswith(f"{folder.name}/")
        )
        wrong: list[str] = []
        record = _read(PointRecord, folder / "point.json", wrong)
        if record is None and not wrong:
            wrong.append("point.json is missing: the point was cut off")
        points.append(PointFolder(folder, record, wrong[0] if wrong else None, own))
    points.sort(key=lambda point: point.record.started if point.record else float("inf"))
    seen = {point.path.name for point in points}
    never = () if run is None else tuple(name for name in run.never_run if name not in seen)
    if run is not None:
        # Its folder is gone, but the run says that it took place.
        points.extend(
            PointFolder(path / record.point.name, None, "its folder is missing")
            for record in run.points
            if record.point.name not in seen
        )
    return HostFolder(path, job, run, tuple(points), never, tuple(problems))


def _read(kind: type[_T], path: Path, problems: list[str]) -> _T | None:
    try:
        value = read_object(path)
        return None if value is None else read(kind, value, path.name)
    except (UnreadableError, RecordError) as error:
        problems.append(str(error))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        problems.append(f"{path.name} is not what a benchmark writes: {error}")
    return None


def _changed(path: Path, verified: VerifiedFiles, problems: list[str]) -> tuple[str, ...]:
    """Files that are missing or not what was collected; files that came later are no matter."""
    manifest = path / MANIFEST
    try:
        expected = parse_manifest(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"{MANIFEST} is missing: nothing vouches for these files")
        return ()
    except (OSError, UnicodeDecodeError, ManifestError) as error:
        problems.append(f"{MANIFEST} cannot be used: {error}")
        return ()
    if not expected:
        problems.append(f"{MANIFEST} is empty: nothing vouches for these files")
        return ()
    # What was added later, such as a report, does not matter; what decides on a point does.
    names = {*expected, *(f"{one.parent.name}/{one.name}" for one in _deciding(path))}
    found = {
        name: _sha256(path / name, verified.get(name)) for name in names if (path / name).is_file()
    }
    wrong = differences(expected, found)
    problems.extend(text for text in wrong if "/" not in text.partition(": ")[0])
    return wrong


def _deciding(path: Path) -> Iterator[Path]:
    return (one for name in DECIDING for one in path.glob(f"*/{name}"))


def _sha256(path: Path, known: Verified | None) -> str:
    if known is not None and known.state == file_state(path.stat()):
        return known.sha256
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
