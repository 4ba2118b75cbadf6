"""When a lock may be broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import schema_check


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("@local", "--break", "  "), "--break wants a reason"),
        (("--break", "because"), "a lock is broken on the hosts that are named, and none is"),
    ],
)
def test_a_break_needs_a_reason_and_a_host(
    words: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rocminfra", "lock", "--json", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert what in document["error"]["what"]
    assert schema_check.violations(document, "lock") == []
