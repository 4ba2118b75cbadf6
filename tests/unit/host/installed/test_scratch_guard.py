"""The guard before Docker and before the engine."""

from __future__ import annotations

import pytest

from rocminfra.host.installed.scratch_guard import main, mounted_device, problem

MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw
30 22 7:0 / /mnt/models rw,noatime - xfs /dev/vdc rw
31 22 7:1 / /mnt/with\\040space rw - xfs /dev/vdd rw
32 22 7:2 / /mnt/models rw - tmpfs tmpfs rw
"""


def test_the_last_mount_on_a_path_is_the_one_that_is_seen() -> None:
    assert mounted_device(MOUNTINFO, "/mnt/models") == "7:2"


def test_spaces_and_missing_mounts() -> None:
    assert mounted_device(MOUNTINFO, "/mnt/with space") == "7:1"
    assert mounted_device(MOUNTINFO, "/mnt") is None


@pytest.mark.parametrize(
    ("device", "sentinel", "uuid", "expected"),
    [
        ("7:0", "u1", "u1", ""),
        (None, None, None, "is not mounted"),
        ("7:0", None, "u1", "is not the scratch disk"),
        ("7:0", "u1", None, "cannot be read"),
        ("7:0", "u1", "u2", "its sentinel names u1"),
    ],
)
def test_what_is_wrong(
    device: str | None, sentinel: str | None, uuid: str | None, expected: str
) -> None:
    found = problem("/mnt/models", device, sentinel, uuid)
    assert (found == "") if not expected else expected in found


def test_a_folder_that_is_no_mount_fails_with_the_next_command(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "is not mounted" in error
    assert "next:" in error


def test_bad_usage() -> None:
    assert main([]) == 2
