"""A model's download: room first, whole or not marked, and what hangs is tried again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.fetch import model
from rocminfra.host.fetch.supervised import GivenUpError, Patience, Status
from rocminfra.host.sent.hub_marker import problem
from rocminfra.hub.repository import File, HubError, Listing

COMMIT = "1" * 40
LISTING = Listing(
    "acme/a", COMMIT, (File("config.json", 2), File("sub/model.safetensors", 70_000, "ab"))
)
QUICK = Patience(stall_s=0.4, pause_s=0.01, look_s=0.05)

# What `hf download` leaves; its first runs hang or fail, and may have brought a part.
HF = """#!/bin/sh
echo run >> "$HERE/runs"
mkdir -p "$HERE/home/hub/models--acme--a"; cd "$HERE/home/hub/models--acme--a"
mkdir -p blobs snapshots/COMMIT/sub
n=$(wc -l < "$HERE/runs")
if test "$n" -le "${HANGS:-0}"; then test -z "$PART" || head -c $((n * 9000)) /dev/zero \\
    > blobs/ab.incomplete; echo $$ > "$HERE/pid"
    if test -n "$ASIDE"; then mkdir -p "$HERE/home/xet"; for i in 1 2 3 4 5 6 7 8; do
    echo "$i" >> "$HERE/home/xet/part"; sleep 0.1; done; else exec sleep 60; fi; fi
if test "$n" -le "${FAILS:-0}"; then echo broken >&2; exit 5; fi
rm -f blobs/ab.incomplete; head -c ${SIZE:-70000} /dev/zero > blobs/ab; echo '{' > blobs/cd
ln -sf ../../blobs/cd snapshots/COMMIT/config.json
ln -sf ../../../blobs/ab snapshots/COMMIT/sub/model.safetensors
""".replace("COMMIT", COMMIT)


class FakeHub:
    def __init__(self, listing: Listing | HubError = LISTING) -> None:
        self.answer = listing
        self.gated = False

    def listing(self, repository: str, revision: str | None) -> Listing:
        if isinstance(self.answer, HubError):
            raise self.answer
        return self.answer

    def file(self, repository: str, revision: str, path: str) -> bytes:
        if self.gated:
            raise HubError("denied", f"{repository}: denied")
        return b"{}"


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    program = tmp_path / "hf"
    program.write_text(HF)
    program.chmod(0o755)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setenv("JOB", str(tmp_path / "job"))

    def run(hub: Any = None, **environment: str) -> dict[str, Any]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        given = model.parse(
            [
                *("acme/a", "--home", str(tmp_path / "home"), "--program", str(program)),
                *("--marker", str(tmp_path / "markers" / "a.complete")),
            ]
        )
        status = Status(str(tmp_path / "job.status"))
        model.fetch(given, status, hub or FakeHub(), QUICK)
        said: dict[str, Any] = json.loads((tmp_path / "job.status").read_text())
        return said

    return run


def test_a_look_downloads_nothing(fetch: Callable[..., Any], tmp_path: Path) -> None:
    given = model.parse(
        ["acme/a", "--home", str(tmp_path), "--program", "/none", "--marker", "m", "--look"]
    )
    model.fetch(given, Status(""), FakeHub(), QUICK)  # type: ignore[arg-type]
    with pytest.raises(GivenUpError, match="words"):
        model.fetch(given, Status(""), FakeHub(HubError("absent", "words")))  # type: ignore[arg-type]
    assert list(tmp_path.glob("m*")) == []


def runs(folder: Path) -> int:
    path = folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_whole_model_is_marked_with_names_and_sizes(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    assert fetch()["total"] == 70_002
    marker = tmp_path / "markers" / "a.complete"
    assert json.loads(marker.read_text())["files"] == {
        "config.json": 2,
        "sub/model.safetensors": 70_000,
    }
    assert problem(str(marker)) == ""


@pytest.mark.parametrize(
    "harm",
    [
        lambda hub: [path.unlink() for path in (hub / "models--acme--a/blobs").iterdir()],
        lambda hub: (hub / "models--acme--a/snapshots" / COMMIT / "config.json").unlink(),
        lambda hub: os.truncate(hub / "models--acme--a/blobs/ab", 69_999),
        lambda hub: hub.rename(hub.parent / "elsewhere"),
    ],
    ids=["blobs removed", "link removed", "cut short", "cache moved"],
)
def test_a_marker_says_complete_only_while_what_it_marks_is_there(
    fetch: Callable[..., Any], tmp_path: Path, harm: Callable[[Path], Any]
) -> None:
    fetch()
    harm(tmp_path / "home" / "hub")
    marker = str(tmp_path / "markers" / "a.complete")
    assert problem(marker) != ""
    fetch()
    assert problem(marker) == ""


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"folder": "/", "files": {}}', "\xff"])
def test_an_empty_marker_of_an_earlier_version_marks_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "m").write_text(text)
    assert problem(str(tmp_path / "m")) != ""
    assert problem(str(tmp_path / "absent")) == "it was not downloaded yet"


@pytest.mark.parametrize(("free", "refused"), [(1_000_070_001, True), (1_000_070_002, False)])
def test_room_is_looked_for_before_the_first_byte(
    fetch: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    refused: bool,
) -> None:
    monkeypatch.setattr(model, "free_bytes", lambda _folder: free)
    if not refused:
        fetch()
        return
    with pytest.raises(GivenUpError) as error:
        fetch()
    assert error.value.kind == "space"
    assert str(error.value) == (
        f"acme/a needs 70,002 bytes more, and 1.0 GB are free in {tmp_path}/home, of which 1.0 GB "
        "stay free; nothing was downloaded"
    )
    assert runs(tmp_path) == 0
    assert not (tmp_path / "markers").exists()


def test_what_is_there_needs_no_room_again(
    fetch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file counts as well, and a whole one that no snapshot names yet."""
    cache = model.Cache(str(tmp_path / "home"), "acme/a")
    assert cache.needed_bytes(LISTING) == 70_002
    blobs = tmp_path / "home/hub/models--acme--a/blobs"
    blobs.mkdir(parents=True)
    (blobs / "ab.1234.incomplete").write_bytes(b"x" * 40_000)
    os.sync()
    assert cache.needed_bytes(LISTING) == 30_002
    (blobs / "ab").write_bytes(b"x" * 70_000)
    assert cache.needed_bytes(LISTING) == 2
    fetch()
    assert cache.needed_bytes(LISTING) == 0
    monkeypatch.setattr(model, "free_bytes", lambda _folder: 0)
    fetch()


def test_room_that_another_download_needs_is_not_free(
    fetch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "free_bytes", lambda _folder: 2_000_000_000)
    other = tmp_path / "rocminfra-image.status"
    other.write_text(json.dumps({"total": 3_000_000_000, "done": 1_500_000_000}))
    with pytest.raises(GivenUpError, match="and 500"):
        fetch()
    (tmp_path / "rocminfra-image.code").write_text("0\n")  # it has ended
    fetch()


def test_a_download_that_hangs_is_ended_and_resumed(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    fetch(HANGS="2", PART="yes")
    assert runs(tmp_path) == 3
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_always_hangs_is_an_error(fetch: Callable[..., Any], tmp_path: Path) -> None:
    """As cases/hub/hf-sleeps.sh."""
    began = time.monotonic()
    with pytest.raises(GivenUpError) as error:
        fetch(HANGS="99")
    assert error.value.kind == "stalled"
    assert "nothing has arrived for" in str(error.value)
    assert "3 times in a row" in str(error.value)
    assert runs(tmp_path) == 3
    assert time.monotonic() - began < 20
    assert not (tmp_path / "markers").exists()


def test_parts_that_are_kept_aside_are_no_stall(
    fetch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_XET_CACHE", raising=False)
    fetch(HANGS="1", ASIDE="yes")
    assert runs(tmp_path) == 1


def test_progress_between_failures_is_no_end(fetch: Callable[..., Any], tmp_path: Path) -> None:
    """A line that is cut every few minutes brings the model all the same."""
    fetch(HANGS="6", PART="yes")
    assert runs(tmp_path) == 7


def test_one_that_fails_is_tried_again_and_given_up(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    fetch(FAILS="2")
    (tmp_path / "runs").unlink()
    os.truncate(tmp_path / "home/hub/models--acme--a/blobs/ab", 1)
    with pytest.raises(GivenUpError) as error:
        fetch(FAILS="99")
    assert error.value.kind == "failed"
    assert "ended with 5" in str(error.value)


def test_a_model_that_is_not_whole_afterwards_is_not_marked(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(GivenUpError) as error:
        fetch(SIZE="69999")
    assert "sub/model.safetensors is missing, or not as large" in str(error.value)
    assert not (tmp_path / "markers").exists()


@pytest.mark.parametrize("kind", ["denied", "absent", "unreachable", "odd"])
def test_what_the_hub_refuses_is_not_tried(
    fetch: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    with pytest.raises(GivenUpError) as error:
        fetch(FakeHub(HubError(kind, "words")))
    assert (error.value.kind, str(error.value), runs(tmp_path)) == (kind, "words", 0)


def test_a_gated_model_whose_names_everybody_sees_is_denied_at_once(
    fetch: Callable[..., Any], tmp_path: Path
) -> None:
    hub = FakeHub()
    hub.gated = True
    with pytest.raises(GivenUpError) as error:
        fetch(hub)
    assert (error.value.kind, runs(tmp_path)) == ("denied", 0)


def test_files_of_unknown_size_are_fetched_without_a_look_at_the_room(
    fetch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(File(file.path, None) for file in LISTING.files)
    monkeypatch.setattr(model, "free_bytes", lambda _folder: 0)
    assert fetch(FakeHub(Listing("acme/a", COMMIT, files)))["total"] is None
