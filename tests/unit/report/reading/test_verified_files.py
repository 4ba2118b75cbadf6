"""What was verified on its way here is not read again; what was touched since, or by nobody, is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import recorded_runs
from recorded_runs import host_of

from rocminfra.bench.results import digests_below, verified
from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.planning.bench.verified import Verified, VerifiedFiles
from rocminfra.report.figures.report import make_report
from rocminfra.report.reading import folder as reading

POINT = "01-concurrent-4"
CHANGED = "not the file that was collected: report.json: SHA-256"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return recorded_runs.copy("demo", tmp_path / "20261128T222237Z")


@pytest.fixture
def known(run: Path) -> dict[Path, VerifiedFiles]:
    host = host_of(run)
    digests = {name: one for name, one in digests_below(host).items() if name != MANIFEST}
    return {host: verified(host, digests)}


def flip(path: Path) -> None:
    """Change one digit, and nothing that a listing of the folder shows."""
    about, content = path.stat(), path.read_bytes()
    at = next(place for place, byte in enumerate(content) if byte in b"1234")
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"5")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_nothing_that_was_verified_is_hashed_again(
    run: Path, known: dict[Path, VerifiedFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = make_report(run)
    monkeypatch.setattr(reading.hashlib, "sha256", lambda *_: pytest.fail("a file was hashed"))
    assert make_report(run, verified=known) == alone
    assert make_report(host_of(run), verified=known).is_valid


@pytest.mark.parametrize("is_known", [True, False])
def test_a_byte_that_was_flipped_since_is_found(
    run: Path, known: dict[Path, VerifiedFiles], is_known: bool
) -> None:
    flip(host_of(run) / POINT / "report.json")
    report = make_report(run, verified=known if is_known else None)
    point = report.hosts[0].point(POINT)
    assert point is not None
    assert point.outcome == "invalid"
    assert any(reason.startswith(CHANGED) for reason in point.reasons)


def test_what_was_verified_as_something_else_is_said(
    run: Path, known: dict[Path, VerifiedFiles]
) -> None:
    host = host_of(run)
    name = f"{POINT}/report.json"
    wrong = {**known[host], name: Verified("0" * 64, known[host][name].state)}
    point = make_report(run, verified={host: wrong}).hosts[0].point(POINT)
    assert point is not None
    assert any(reason.startswith(f"{CHANGED} is 000000000000…") for reason in point.reasons)


def test_a_file_of_another_folder_vouches_for_none(
    run: Path, known: dict[Path, VerifiedFiles]
) -> None:
    flip(host_of(run) / POINT / "report.json")
    elsewhere = {run.parent / "other" / path.name: files for path, files in known.items()}
    point = make_report(run, verified=elsewhere).hosts[0].point(POINT)
    assert point is not None
    assert point.outcome == "invalid"
