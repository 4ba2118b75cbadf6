"""Debian packages: asked for only when missing; what apt cannot do is said below its own words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rocminfra.facts.packages import InstalledPackages
from rocminfra.operations.packages import present


def test_what_is_installed_is_not_asked_of_apt(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[InstalledPackages] = frozenset({"xfsprogs"})
    assert run(present, packages=["xfsprogs"]).commands == []


def test_an_index_that_does_not_answer_is_said_with_the_next_command(
    scripted: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    scripted.facts[InstalledPackages] = frozenset()
    *_, install = run(present, packages=["docker.io", "xfsprogs"]).shell
    stub = tmp_path / "apt-get"
    stub.write_text("#!/bin/sh\necho 'E: Unable to fetch some archives' >&2; exit 100\n")
    stub.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", install],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 100
    assert done.stderr.splitlines() == [
        "E: Unable to fetch some archives",
        "apt could not install docker.io xfsprogs",
        "next: apt-get update on the host, to see whether its package index answers",
    ]
