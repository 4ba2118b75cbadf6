"""Bring the results of a run back, verified, and publish them with one rename.

Only what is not here yet comes, by several streams at once; what an attempt that was cut off has
brought, and what an earlier attempt at the run has published, is not fetched again.
"""

from __future__ import annotations

import errno
import json
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rocminfra.bench import results
from rocminfra.bench.fetching import Fetched, fetch, here_already, keep_only, shared_out
from rocminfra.bench.remote_run import RemoteRun
from rocminfra.failure import Again, FailedError, Fault
from rocminfra.planning.bench.manifest import MANIFEST, PARTIAL, parse_manifest
from rocminfra.planning.bench.progress import Status
from rocminfra.planning.bench.verified import VerifiedFiles
from rocminfra.plural import plural

# Hashing the results of a long run that died before it had made its manifest.
LISTING_TIMEOUT_S = 600
FETCH_ATTEMPTS = 2
# Of one connection: each packs on the host with a core of its own.
STREAMS = 3


@dataclass(frozen=True)
class Outcome:
    """A run that has come back.

    + folder: the host's folder of results
    + problems: why the run does not count on this host, a line each; empty when it does
    + verified: files that were compared with the manifest on their way, by path in ``folder``
    """

    folder: Path
    problems: tuple[str, ...]
    verified: VerifiedFiles = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """What the host has of a run.

    + manifest: the text of its manifest
    + digests, sizes: SHA-256 and bytes by path
    """

    manifest: str
    digests: Mapping[str, str]
    sizes: Mapping[str, int]


@dataclass
class Collector:
    """Brings one run back.

    + target: the run
    + results_dir: folder of all runs here
    + say: takes what happened, a line each
    + show_bytes: takes how much has come, and how much is to come
    """

    target: RemoteRun
    results_dir: Path
    say: Callable[[str], None]
    show_bytes: Callable[[int, int], None] = lambda done, total: None

    @property
    def folder(self) -> Path:
        """Where the host's results of this run are published."""
        return self.results_dir / self.target.run / results.folder_name(self.target.host)

    def bring_back(self, status: Status) -> Outcome:
        """Collect what is not here yet.

        + status: of a run that has ended

        Raises :class:`FailedError`, OSError when the disk here does not take it.
        """
        target = self.target
        digests: Mapping[str, str] | None = None
        if status.state == "finished":
            digests = results.complete(
                self.results_dir, target.run, target.host, status.manifest_sha256
            )
        if digests is None:
            digests = self._collect(status.state)
        else:
            self.say(f"results of run {target.run} are here already")
        known = results.verified(self.folder, digests)
        return Outcome(self.folder, _problems(status, self.folder), known)

    def _collect(self, state: str) -> Mapping[str, str]:
        """Bring what is missing and publish all; SHA-256 by path of what is here now."""
        target = self.target
        listing = self._listing()
        # An ended run says so itself; what is fetched while it runs is never published.
        missing = [] if state == "finished" else [f"the run {state} before its end"]
        try:
            with results.staging(self.results_dir, target.run, target.host) as folder:
                staged = folder / results.STAGED
                staged.mkdir(exist_ok=True)
                here = here_already(listing.digests, folder, self.folder)
                missing += self._fetch(listing, folder, here)
                if not here:
                    what = f"no result of run {target.run} arrived"
                    raise FailedError(Fault.RESULTS_MISSING, what, missing, target.again)
                keep_only(staged, here)
                (staged / MANIFEST).write_text(listing.manifest, encoding="utf-8")
                folder = results.publish(
                    self.results_dir, target.run, target.host, staged, missing, here
                )
        except results.Collecting as error:
            raise FailedError(Fault.HOST_LOCKED, str(error), next=target.again) from None
        if folder != self.folder:
            what = (
                f"run {target.run} came back in part; the complete results of an earlier "
                f"attempt stay in {self.folder}"
            )
            why = (*missing, f"what came back is in {folder}")
            raise FailedError(Fault.RESULTS_PARTIAL, what, why, target.again)
        return here

    def _listing(self) -> Listing:
        target = self.target
        answer = target.ask(
            target.program(f"manifest {shlex.quote(target.folder)}"), None, LISTING_TIMEOUT_S
        )
        try:
            found = json.loads(answer.stdout)
            digests = parse_manifest(found["manifest"])
            sizes = {str(path): int(size) for path, size in found["sizes"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            what = f"the results of run {target.run} could not be listed on the host"
            why = answer.stderr.splitlines()[-5:]
            raise FailedError(Fault.RESULTS_PARTIAL, what, why, target.again) from None
        return Listing(found["manifest"], digests, sizes)

    def _fetch(self, listing: Listing, folder: Path, here: dict[str, str]) -> list[str]:
        """Bring what is missing; adds it to ``here`` and returns what did not come, and why."""
        problems: list[str] = []
        for attempt in range(1, FETCH_ATTEMPTS + 1):
            left = {path: listing.sizes.get(path, 0) for path in listing.digests.keys() - here}
            if not left:
                return []
            if attempt > 1:
                self.say(f"results did not arrive whole, again: {problems[0]}")
            self._check_room(folder, sum(left.values()))
            problems = self._fetch_once(left, folder, here)
        return problems

    def _fetch_once(self, left: Mapping[str, int], folder: Path, here: dict[str, str]) -> list[str]:
        done = [0]
        total = sum(left.values())

        def wrote(count: int) -> None:
            done[0] += count
            self.show_bytes(done[0], total)

        def one(number: int, names: Sequence[str]) -> Fetched:
            sizes = {name: left[name] for name in names}
            return fetch(self.target, sizes, folder / f"part-{number}", wrote)

        shares = shared_out(left, STREAMS)
        try:
            with ThreadPoolExecutor(max_workers=len(shares)) as pool:
                fetched = list(pool.map(one, range(len(shares)), shares))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise self._disk_full(f"{folder} cannot take {total:,} bytes") from None
            raise
        problems: list[str] = []
        for part in fetched:
            made: set[Path] = set()
            for path, digest in part.digests.items():
                moved = folder / results.STAGED / path
                if moved.parent not in made:
                    moved.parent.mkdir(parents=True, exist_ok=True)
                    made.add(moved.parent)
                (part.folder / path).replace(moved)
                here[path] = digest
            shutil.rmtree(part.folder, ignore_errors=True)
            problems += part.problems
        lost = [part.lost for part in fetched if part.lost is not None]
        if lost:
            raise self.target.lost(lost[0])
        return problems

    def _check_room(self, folder: Path, needed: int) -> None:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise self._disk_full(f"{needed:,} bytes are missing, and {folder} has {free:,} free")

    def _disk_full(self, why: str) -> FailedError:
        return FailedError(
            Fault.RESULTS_NOT_WRITABLE,
            f"disk full here: the results of run {self.target.run} stay on the host",
            (why,),
            Again("make room, then", resume=self.target.run),
        )


def _problems(status: Status, folder: Path) -> tuple[str, ...]:
    problems = [
        f"{point.label} is {point.outcome}: {reason}"
        for point in status.points
        if point.outcome != "valid"
        for reason in point.reasons
    ]
    left = status.planned - len(status.points)
    if left > 0:
        problems.append(f"{left} of {plural(status.planned, 'point')} never ran")
    partial = folder / PARTIAL
    if partial.exists():
        problems.extend(partial.read_text(encoding="utf-8").splitlines())
    return tuple(problems)
