"""Frames between the engine's host and the load generator, of which neither trusts the other."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.bench import load_frames
from rocminfra.host.bench.load_frames import Files, FrameError


def test_what_is_written_is_read() -> None:
    stream = io.BytesIO()
    load_frames.write(stream, {"log": "stdout.log"}, b"a\nb\0")
    load_frames.write(stream, {"exit": 0})
    stream.seek(0)
    assert load_frames.read(stream) == ({"log": "stdout.log", "bytes": 4}, b"a\nb\0")
    assert load_frames.read(stream) == ({"exit": 0, "bytes": 0}, b"")
    assert load_frames.read(stream) is None


@pytest.mark.parametrize(
    "text",
    [
        b"Welcome to Debian\n",
        b"[1]\n",
        b'{"exit": 0}\n',
        b'{"bytes": -1}\n',
        b'{"bytes": true}\n',
        b'{"bytes": 1048577}\n',
        b'{"bytes": "1"}\n',
    ],
)
def test_anything_else_is_no_frame(text: bytes) -> None:
    with pytest.raises(FrameError):
        load_frames.read(io.BytesIO(text))


def test_a_frame_that_breaks_off_is_the_end() -> None:
    assert load_frames.read(io.BytesIO(b'{"log": "a", "bytes": 4}\nabc')) is None


def test_a_file_of_several_frames_appears_once_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    content = b"x" * (load_frames.MOST_BODY + 7)
    (tmp_path / "report.json").write_bytes(content)
    frames: list[tuple[dict[str, Any], bytes]] = []
    load_frames.send_file(
        lambda header, body: frames.append((header, body)), tmp_path / "report.json", "report.json"
    )
    assert len(frames) == 2
    files = Files(tmp_path / "there", load_frames.one_of(["report.json"]))
    files.take(*frames[0])
    assert not (tmp_path / "there" / "report.json").exists()
    files.take(*frames[1])
    assert (tmp_path / "there" / "report.json").read_bytes() == content


def test_an_empty_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    frames: list[tuple[dict[str, Any], bytes]] = []
    for name in ("empty", "missing"):
        load_frames.send_file(
            lambda header, body: frames.append((header, body)), tmp_path / name, name
        )
    assert frames == [({"file": "empty", "at": 0, "last": True}, b"")]


@pytest.mark.parametrize(
    "name", ["../key", "/etc/passwd", "", ".profile", "a/b", "x\0", "other.json", 7, None]
)
def test_only_plain_names_that_are_expected(tmp_path: Path, name: Any) -> None:
    files = Files(tmp_path, load_frames.one_of(["report.json"]))
    with pytest.raises(FrameError):
        files.take({"file": name, "at": 0, "last": True}, b"x")
    assert list(tmp_path.iterdir()) == []


def test_parts_out_of_order_are_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, load_frames.one_of(["report.json"]))
    files.take({"file": "report.json", "at": 0, "last": False}, b"abc")
    with pytest.raises(FrameError):
        files.take({"file": "report.json", "at": 7, "last": True}, b"x")
    assert not (tmp_path / "report.json").exists()
