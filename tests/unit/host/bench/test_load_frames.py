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


def test_a_file_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    files = Files(tmp_path, load_frames.one_of(("a", "b")), {"a": 3})
    files.take({"file": "a", "at": 0, "last": False}, b"ab")
    with pytest.raises(FrameError, match="a: 2 bytes at 2, after 2"):
        files.take({"file": "a", "at": 2, "last": True}, b"cd")
    files.take({"file": "b", "at": 0, "last": True}, b"abcd")
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_bytes() == b"abcd"


@pytest.mark.parametrize("most", [0, 1, 4, 1024 * 1024 + 1])
def test_no_more_of_a_file_is_sent_than_is_taken(tmp_path: Path, most: int) -> None:
    path = tmp_path / "stacks.txt"
    path.write_bytes(b"abc" * 700_000)
    taken = tmp_path / "taken"
    taken.mkdir()
    files = Files(taken, load_frames.one_of(("stacks.txt",)), {"stacks.txt": most})
    load_frames.send_file(files.take, path, path.name, most)
    assert (taken / "stacks.txt").read_bytes() == path.read_bytes()[:most]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exited with 1: out of memory", "exited with 1: out of memory"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://203.0.113.1\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("\x1b[31mred\x1b[0m \x1b[2Jtext", "red text"),
        ("a\rb\tc\nd\x00e\x9b31mf\x7f", "a b c d e 31mf"),
        ("größer als 4 µs", "größer als 4 µs"),
        ("x" * 5000, "x" * 2000),
    ],
)
def test_what_is_said_moves_no_terminal(text: str, said: str) -> None:
    assert load_frames.plain(text) == said
