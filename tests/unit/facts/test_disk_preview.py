"""What a wipe would destroy."""

from __future__ import annotations

import json

from rocminfra.facts.disk_preview import DiskPreview, Preview


def test_files_and_bytes_of_each_file_system() -> None:
    seen = [{"device": "/dev/vdc1", "used": 5 << 20, "newest": ["a", "b\n"], "problem": None}]
    (preview,) = DiskPreview().process([json.dumps(seen)])
    assert preview == Preview("/dev/vdc1", 5 << 20, ("a", "b\n"))
    assert str(preview) == "/dev/vdc1: 5 MiB used; newest files: a, b\\n"


def test_what_is_not_a_list_is_shown_as_a_problem() -> None:
    (preview,) = DiskPreview().process(["unshare: not permitted", "exit code 1"])
    assert str(preview).startswith("the disk: its files cannot be shown (unshare")
