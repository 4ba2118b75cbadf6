"""The programs that look at disks and write fstab, as far as they need no disk."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.host.programs import source
from rocminfra.host.sent import disk_probe, fstab_entry, mount_point
from rocminfra.host.sent.disk_content import SAMPLES, first_data, spans
from rocminfra.host.sent.disk_guard import differences
from rocminfra.host.sent.disk_guard import main as guard

LINE = b"UUID=u /mnt/models xfs nofail,noatime 0 0"
ODD = b"LABEL=\xff\xfe\x0c /\xe9 ext4\t 0  0\r\n\rx\x0b/mnt/models y\n"
GIB = 1024**3


@given(st.integers(0, 6 * 1024 * GIB))
def test_samples_lie_inside_the_disk_and_include_both_ends(size: int) -> None:
    found = spans(size)
    assert found[0][0] == 0
    assert sum(found[-1]) == size
    assert all(start >= 0 and start + length <= size for start, length in found)
    assert found == sorted(found)


def test_a_large_disk_gets_64_samples_between_its_ends() -> None:
    assert len(spans(5120 * GIB)) == SAMPLES + 2


@pytest.mark.parametrize("offset", [0, 1, 4095, 4 * 1024**2 - 1, 10 * 1024**2, 100 * 1024**2 - 1])
def test_a_byte_inside_a_sample_is_found(tmp_path: Path, offset: int) -> None:
    size = 100 * 1024**2
    inside = any(start <= offset < start + length for start, length in spans(size))
    file = tmp_path / "disk"
    with open(file, "wb") as disk:
        disk.truncate(size)
        disk.seek(offset)
        disk.write(b"\1")
    descriptor = os.open(file, os.O_RDONLY)
    assert first_data(descriptor, size) == (offset if inside else None)
    os.close(descriptor)


def test_a_disk_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(bytes(1024))
    descriptor = os.open(file, os.O_RDONLY)
    with pytest.raises(OSError, match="short read"):
        first_data(descriptor, 4096)
    os.close(descriptor)


def test_every_difference_is_told() -> None:
    disk, part = {"name": "vdc", "b": [2]}, {"name": "vdc1", "a": 1}
    assert differences({"8:0": disk}, {"8:0": {**disk, "b": [3], "c": None}}) == [
        "vdc b: was [2], is [3]",
    ]
    gone = ["vdc1 a: was 1, is null", 'vdc1 name: was "vdc1", is null']
    assert differences({"8:0": disk, "8:1": part}, {"8:0": disk}) == gone
    assert len(differences({"8:0": disk}, {"8:0": disk, "8:1": part})) == 2


def test_the_guard_does_nothing_without_the_whole_command_line() -> None:
    assert guard([]) == 2
    assert guard(["probe", "content", "/dev/vdc", "{}", "mkfs.xfs", "x"]) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", LINE + b"\n"),
        (b"# top\n", b"# top\n" + LINE + b"\n"),
        (b"/dev/a / ext4 defaults 0 1", b"/dev/a / ext4 defaults 0 1\n" + LINE + b"\n"),
        (b"x /mnt/models y\nz /z w\n", LINE + b"\nz /z w\n"),
        (
            b"a /a b\nx /mnt/models y\nz /z w\nx2 /mnt/models/ y\n",
            b"a /a b\n" + LINE + b"\nz /z w\n",
        ),
        (b"nas:/x //mnt//models/./ nfs\n", LINE + b"\n"),
        (b"# x /mnt/models y\n", b"# x /mnt/models y\n" + LINE + b"\n"),
        (ODD, ODD + LINE + b"\n"),
        (b"x /mnt/models2 y\n", b"x /mnt/models2 y\n" + LINE + b"\n"),
    ],
)
def test_fstab_keeps_every_other_byte(before: bytes, after: bytes) -> None:
    assert fstab_entry.with_line(before, b"/mnt/models", LINE) == after
    assert fstab_entry.with_line(after, b"/mnt/models", LINE) == after


@given(st.lists(st.binary(max_size=40).filter(lambda x: b"\n" not in x)))
def test_lines_that_are_not_ours_stay(lines: list[bytes]) -> None:
    text = b"".join(line + b"\n" for line in lines)
    others = [x for x in text.split(b"\n") if b"/mnt/models" not in x]
    result = fstab_entry.with_line(text, b"/mnt/models", LINE)
    assert [x for x in result.split(b"\n") if b"/mnt/models" not in x] == others


def test_fstab_is_replaced_with_its_mode_and_only_as_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / "fstab"
    file.write_bytes(b"# mine\n")
    file.chmod(0o600)
    digest = hashlib.sha256(b"# mine\n").hexdigest()
    arguments = [str(file), "/mnt/models", LINE.decode()]
    assert fstab_entry.main([*arguments, "0" * 64]) == 1
    assert file.read_bytes() == b"# mine\n"
    assert fstab_entry.main([*arguments, digest]) == 0
    assert file.read_bytes() == b"# mine\n" + LINE + b"\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["fstab"]
    assert fstab_entry.main([]) == 2


def test_a_mount_point_with_files_or_behind_a_link_is_not_protected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "weights").touch()
    assert mount_point.main([str(full)]) == 1
    assert "weights" in capsys.readouterr().err
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert mount_point.main([str(link)]) == 1
    assert full.stat().st_mode & 0o777 != 0o555


def test_programs_cost_nothing_to_quote() -> None:
    for name in ("disk_probe", "disk_content", "disk_guard", "disk_preview"):
        assert source(name).count("'") < 10


def test_one_look_at_a_time_or_each_would_see_the_other_as_a_user_of_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = disk_probe.take_turn()
    waits = threading.Event()
    happened: list[str] = []

    def flock(descriptor: int, how: int) -> None:
        if not how & fcntl.LOCK_NB:
            waits.set()
        fcntl.flock(descriptor, how)

    def look() -> None:
        second = disk_probe.take_turn()
        happened.append("second")
        os.close(second)

    monkeypatch.setattr(disk_probe, "fcntl", SimpleNamespace(**{**vars(fcntl), "flock": flock}))
    thread = threading.Thread(target=look)
    thread.start()
    assert waits.wait(30)
    happened.append("first ends")
    os.close(first)
    thread.join(30)
    assert happened == ["first ends", "second"]


def test_a_look_that_never_ends_does_not_stop_the_next_for_ever() -> None:
    first = disk_probe.take_turn()
    before = set(threading.enumerate())
    second = disk_probe.take_turn(deadline=0.0)
    os.close(first)  # now its turn comes, for which a thread waits
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    os.close(second)
