"""Results on the operator's machine: complete and verified, or they say they are not."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocminfra.bench import unpacking
from rocminfra.bench.blocks import BlockReader
from rocminfra.bench.results import complete, digests_below, folder_name, publish, staging, verify
from rocminfra.bench.unpacking import Unpacked
from rocminfra.host.bench import files
from rocminfra.host.bench.blocks import BlockWriter
from rocminfra.planning.bench.manifest import MANIFEST

RUN = "20260513T101500Z"
FILES = {
    "run.json": b'{"state": "finished"}\n',
    "01-concurrent-4/point.json": b"{}\n",
    "01-concurrent-4/report.json": bytes(range(256)) * 40,
    "02-sweep-synchronous/point.json": b'{"outcome": "valid"}\n',
}


@pytest.fixture
def host_run(tmp_path: Path) -> Path:
    """A run's folder as the program on the host leaves it."""
    folder = tmp_path / "host" / RUN
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "status.json").write_text("{}")
    (folder / "lock").touch()
    files.write_manifest(folder)
    return folder


@pytest.fixture
def archive(host_run: Path, tmp_path: Path) -> Path:
    target = tmp_path / "run"
    with target.open("wb") as stream:
        files.pack(host_run, files.result_files(host_run), stream)
    return target


def packed(archive: Path) -> bytes:
    """The tar in its blocks."""
    with archive.open("rb") as stream:
        return b"".join(iter(functools.partial(BlockReader(stream).read, 1 << 20), b""))


def in_blocks(target: Path, tar: bytes) -> Path:
    with target.open("wb") as stream, contextlib.closing(BlockWriter(stream)) as writer:
        writer.write(tar)
    return target


def unpack(archive: Path, folder: Path, **options: Any) -> Unpacked:
    with archive.open("rb") as stream:
        return unpacking.unpack(stream, folder, **options)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    return folder


def rebuilt(archive: Path, change: dict[str, bytes | None], links: dict[str, str] = {}) -> Path:  # noqa: B006
    """The archive with some members changed, added or (None) left out."""
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed(archive))) as pack:
        for member in pack:
            source = pack.extractfile(member)
            assert source is not None
            members[member.name] = source.read()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as pack:
        for name, content in {**members, **change}.items():
            if content is not None:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                pack.addfile(info, io.BytesIO(content))
        for name, goal in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, goal
            pack.addfile(info)
    return in_blocks(archive.with_name("rebuilt"), tar.getvalue())


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_a_whole_archive_arrives_whole(archive: Path, into: Path) -> None:
    unpacked = unpack(archive, into)
    assert unpacked.problems == ()
    assert set(unpacked.digests) == set(FILES)
    assert files_below(into) == {*FILES, MANIFEST}
    assert (into / "01-concurrent-4/report.json").read_bytes() == FILES[
        "01-concurrent-4/report.json"
    ]


def test_progress_and_locks_are_no_results(archive: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(archive))) as pack:
        assert pack.getnames() == [MANIFEST, *sorted(FILES)]


def test_a_flipped_byte_is_found_and_its_file_left_out(archive: Path, into: Path) -> None:
    bad = bytearray(FILES["01-concurrent-4/report.json"])
    bad[5000] ^= 1
    changed = rebuilt(archive, {"01-concurrent-4/report.json": bytes(bad)})
    (problem,) = unpack(changed, into).problems
    assert problem.startswith("01-concurrent-4/report.json: SHA-256 is")
    assert "01-concurrent-4/report.json" not in files_below(into)


def test_a_missing_file_is_found(archive: Path, into: Path) -> None:
    changed = rebuilt(archive, {"02-sweep-synchronous/point.json": None})
    assert unpack(changed, into).problems == ("02-sweep-synchronous/point.json: missing",)


def test_an_extra_file_is_found_and_left_out(archive: Path, into: Path) -> None:
    changed = rebuilt(archive, {"99-extra/point.json": b"{}"})
    assert unpack(changed, into).problems == ("99-extra/point.json: not in the manifest",)
    assert "99-extra/point.json" not in files_below(into)


def test_without_a_manifest_nothing_is_kept(archive: Path, into: Path) -> None:
    unpacked = unpack(rebuilt(archive, {MANIFEST: None}), into)
    assert "has no MANIFEST.sha256" in unpacked.problems[0]
    assert unpacked.digests == {}
    assert files_below(into) == set()


@pytest.mark.parametrize("name", ["../outside", "/tmp/rocminfra-outside", "a/../../outside"])
def test_a_path_that_leads_outside_is_never_written(archive: Path, into: Path, name: str) -> None:
    unpacked = unpack(rebuilt(archive, {name: b"evil"}), into)
    assert any("unsafe path" in problem for problem in unpacked.problems)
    assert not (into / name).exists()
    assert files_below(into) == {*FILES, MANIFEST}


def test_links_are_never_followed(archive: Path, into: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    changed = rebuilt(archive, {}, {"03-link": str(secret), "dir": str(tmp_path)})
    assert set(unpack(changed, into).problems) == {
        "03-link: not a regular file",
        "dir: not a regular file",
    }
    assert not (into / "03-link").exists()


def test_a_manifest_that_names_paths_outside_vouches_for_nothing(archive: Path, into: Path) -> None:
    changed = rebuilt(archive, {MANIFEST: b"a" * 64 + b"  ../outside\n"})
    unpacked = unpack(changed, into)
    assert "unsafe path" in unpacked.problems[0]
    assert unpacked.digests == {}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "a/b"], "a/b: below a file"),
        (["a/b", "a"], "a: both a file and a folder"),
        ([f"{MANIFEST}/x"], "below a file"),
        (["n" * 300], "name is too long"),
        (["é" * 200], "name is too long"),
        (["/".join(["n" * 200] * 20)], "name is too long"),
        (["bad\udcff"], "not valid UTF-8"),
    ],
)
def test_names_that_no_folder_can_hold_are_damage_of_the_archive(
    archive: Path, into: Path, names: list[str], said: str
) -> None:
    unpacked = unpack(rebuilt(archive, dict.fromkeys(names, b"x")), into)
    assert any(said in problem for problem in unpacked.problems), unpacked.problems
    assert "\n".join(unpacked.problems).encode(), "can be printed"
    assert files_below(into) == {*FILES, MANIFEST}


def test_a_manifest_that_is_a_folder_is_damage_of_the_archive(archive: Path, into: Path) -> None:
    unpacked = unpack(rebuilt(archive, {MANIFEST: None, f"{MANIFEST}/x": b"x"}), into)
    assert any("has no MANIFEST.sha256" in problem for problem in unpacked.problems)
    assert files_below(into) == set()


def test_an_archive_unpacks_to_no_more_than_the_limit(archive: Path, into: Path) -> None:
    size = 16 * 2**20
    unpacked = unpack(rebuilt(archive, {"99-zeros": bytes(size)}), into, limit_bytes=2**20)
    assert unpacked.problems[0] == "the archive unpacks to more than 1.0 MiB"
    assert files_below(into) == {*FILES, MANIFEST}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(part=st.floats(0, 0.999))
def test_an_archive_that_is_cut_off_anywhere_is_never_taken_for_whole(
    archive: Path, tmp_path_factory: pytest.TempPathFactory, part: float
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = archive.read_bytes()
    cut = folder / "cut"
    cut.write_bytes(whole[: int(len(whole) * part)])
    into = folder / "into"
    into.mkdir()
    unpacked = unpack(cut, into)
    kept = {path: (into / path).read_bytes() for path in unpacked.digests}
    assert kept.items() <= FILES.items()
    assert files_below(into) <= {*kept, MANIFEST}
    # What is cut off may have been padding.
    assert unpacked.problems or kept == FILES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_byte_flipped_anywhere_never_changes_a_result(
    archive: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    plain = bytearray(packed(archive))
    plain[data.draw(st.integers(0, len(plain) - 1))] ^= data.draw(st.integers(1, 255))
    bad = in_blocks(folder / "bad", bytes(plain))
    into = folder / "into"
    into.mkdir()
    unpacked = unpack(bad, into)
    # Owners, times and padding may differ without harm; contents and names may not.
    kept = {path: (into / path).read_bytes() for path in unpacked.digests}
    assert kept.items() <= FILES.items()
    assert unpacked.problems or kept == FILES


def collected(results: Path, archive: Path, host: str, *missing: str) -> Path:
    with staging(results, RUN, host) as folder:
        staged = folder / "files"
        staged.mkdir()
        unpacked = unpack(archive, staged)
        return publish(results, RUN, host, staged, (*missing, *unpacked.problems))


def test_a_published_run_is_checked_by_sha256sum(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    folder = collected(results, archive, "mi300x-1")
    assert folder == results / RUN / "mi300x-1"
    assert verify(results / RUN) == ()
    subprocess.run(["sha256sum", "-c", "--strict", MANIFEST], cwd=results / RUN, check=True)
    assert [path.name for path in results.iterdir()] == [RUN], "nothing of the staging is left"


def test_several_hosts_share_a_run_and_its_manifest(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for host in ("mi300x-1", "mi300x-2", "mi300x-3"):
        collected(results, archive, host)
        assert verify(results / RUN) == ()
    assert (results / RUN / MANIFEST).read_text().count("\n") == 3 * (len(FILES) + 1)


def test_a_partial_run_says_so(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    damaged = rebuilt(archive, {"01-concurrent-4/point.json": None})
    collected(results, damaged, "mi300x-1", "the run died before its end")
    assert verify(results / RUN) == (
        "mi300x-1 is incomplete: the run died before its end",
        "mi300x-1 is incomplete: 01-concurrent-4/point.json: missing",
    )


def test_a_resumed_run_replaces_what_was_partial(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    collected(results, archive, "mi300x-2")
    collected(results, rebuilt(archive, {"run.json": None}), "mi300x-1")
    assert verify(results / RUN) != ()
    collected(results, archive, "mi300x-1")
    assert verify(results / RUN) == ()
    assert not (results / RUN / "mi300x-1" / "PARTIAL").exists()


def test_what_a_resumed_run_replaces_is_kept_aside(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    partial = rebuilt(archive, {"run.json": None})
    for archive_of_attempt in (partial, partial, archive):
        collected(results, archive_of_attempt, "mi300x-1")
    earlier = results / ".earlier"
    assert {path.name for path in earlier.iterdir()} == {f"{RUN}-mi300x-1-{n}" for n in (1, 2)}
    assert (earlier / f"{RUN}-mi300x-1-1" / "PARTIAL").exists()
    assert verify(results / RUN) == ()


def test_complete_results_are_never_replaced_by_partial_ones(archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    complete = collected(results, archive, "mi300x-1")
    before = (results / RUN / MANIFEST).read_text()
    aside = collected(results, rebuilt(archive, {"run.json": None}), "mi300x-1")
    assert aside == results / ".earlier" / f"{RUN}-mi300x-1-1"
    assert (aside / "PARTIAL").exists()
    assert not (complete / "PARTIAL").exists()
    assert (results / RUN / MANIFEST).read_text() == before
    assert verify(results / RUN) == ()


@pytest.mark.parametrize("damage", ["flip", "remove", "add", "manifest", "no manifest"])
def test_later_damage_is_found(archive: Path, tmp_path: Path, damage: str) -> None:
    results = tmp_path / "results"
    folder = collected(results, archive, "mi300x-1")
    report = folder / "01-concurrent-4" / "report.json"
    if damage == "flip":
        report.write_bytes(b"\x01" + report.read_bytes()[1:])
    elif damage == "remove":
        report.unlink()
    elif damage == "add":
        (folder / "01-concurrent-4" / "notes.txt").write_text("mine")
    elif damage == "manifest":
        with (results / RUN / MANIFEST).open("a") as stream:
            stream.write("nonsense\n")
    else:
        (results / RUN / MANIFEST).unlink()
    assert len(verify(results / RUN)) == 1


def test_only_the_host_s_own_present_results_count_as_here(
    archive: Path, host_run: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    digest = files.sha256(host_run / MANIFEST)
    assert not complete(results, RUN, "mi300x-1", digest)
    folder = collected(results, archive, "mi300x-1")
    assert complete(results, RUN, "mi300x-1", digest) == digests_below(folder)
    assert not complete(results, RUN, "mi300x-1", "0" * 64), "an earlier attempt's"
    assert not complete(results, RUN, "mi300x-2", digest)
    (folder / "run.json").write_text("changed")
    assert not complete(results, RUN, "mi300x-1", digest)


def test_staging_is_gone_after_a_failure(tmp_path: Path) -> None:
    results = tmp_path / "results"
    parents = []

    def collect_and_fail() -> None:
        with staging(results, RUN, "a/../b") as folder:
            parents.append(folder.parent.parent)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        collect_and_fail()
    assert parents == [results]
    assert list(results.iterdir()) == []


def test_staging_does_not_mind_others_that_tidy_up(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with staging(results, RUN, "a") as folder:
        shutil.rmtree(folder.parent)
    assert list(results.iterdir()) == []


def test_staging_leaves_what_others_stage(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with staging(results, RUN, "a") as folder:
        (folder.parent / "other").mkdir()
    assert [path.name for path in folder.parent.iterdir()] == ["other"]


def test_a_report_beside_the_hosts_is_no_matter(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with staging(results, RUN, "mi300x-1") as staged:
        (staged / "run.json").write_text("{}")
        publish(results, RUN, "mi300x-1", staged, ())
    report = results / RUN / "report"
    report.mkdir()
    (report / "report.html").write_text("<html>")
    assert verify(results / RUN) == ()
    (results / RUN / "other").mkdir()
    (results / RUN / "other" / "run.json").write_text("{}")
    assert verify(results / RUN) == ("other/run.json: not in the manifest",)


def test_hosts_whose_names_look_alike_have_folders_of_their_own() -> None:
    names = ["lab:1", "lab_1", "lab/1", ".lab_1", "@local", "_local", "MANIFEST.sha256", "", "."]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert folder_name("lab_1") == "lab_1"
    assert folder_name("lab:1").startswith("lab_1-")
    # That one is the run's report.
    assert folder_name("report").startswith("report-")
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name) for name in folders)
    assert MANIFEST not in folders
