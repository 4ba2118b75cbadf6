"""Packages: one update of the index a run, however many packages are missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts.packages import InstalledPackages
from rocminfra.operations import packages
from rocminfra.operations.packages import present

APT = """#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
echo "$@" >> LOG
case "$*" in "$FAIL") exit 100;; esac
case "$(cat LOG)" in *update*) exit 0;; esac
case "$*" in "$FAIL_UNTIL_UPDATE") exit 100;; esac
"""
INSTALL = "install -y -qq --no-install-recommends docker.io b c"
TRY = "install -qq --dry-run docker.io b c"


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Any, run: Callable[..., Any]
) -> Callable[..., tuple[int, list[str]]]:
    """What apt-get was asked by the operation's commands, and how they ended."""
    stamp, log = tmp_path / "updated", tmp_path / "log"
    monkeypatch.setattr(packages, "UPDATED", str(stamp))
    monkeypatch.setattr(packages, "PYINFRA_UPDATED", str(tmp_path / "of-pyinfra"))
    apt = tmp_path / "apt-get"
    apt.write_text(APT.replace("LOG", str(log)))
    apt.chmod(0o755)
    scripted.facts[InstalledPackages] = frozenset({"there"})

    def ask(
        packages: Sequence[str] = ("docker.io", "there", "b c"),
        where_offered: Sequence[str] = (),
        **environment: str,
    ) -> tuple[int, list[str]]:
        log.write_text("")
        outcome = run(present, packages=packages, where_offered=where_offered)
        done = subprocess.run(
            ["sh", "-ec", "\n".join(outcome.shell)],
            env={**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin", "FAIL": "", **environment},
            check=False,
        )
        return done.returncode, log.read_text().splitlines()

    return ask


def test_an_index_is_updated_once(asked: Callable[..., Any], tmp_path: Path) -> None:
    assert asked() == (0, ["update -qq", INSTALL])
    assert asked() == (0, [TRY, INSTALL])
    os.utime(tmp_path / "updated", (0, 0))
    assert asked() == (0, ["update -qq", INSTALL])


def test_pyinfras_own_update_counts(asked: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "of-pyinfra").touch()
    assert asked() == (0, [TRY, INSTALL])


def test_an_index_without_the_package_is_updated(asked: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "updated").touch()
    assert asked(FAIL_UNTIL_UPDATE=TRY) == (0, [TRY, "update -qq", INSTALL])


def test_a_package_that_is_gone_from_the_mirror_is_tried_again(
    asked: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "updated").touch()
    assert asked(FAIL_UNTIL_UPDATE=INSTALL) == (0, [TRY, INSTALL, "update -qq", INSTALL])


@pytest.mark.parametrize("fails", ["update -qq", INSTALL])
def test_a_failure_is_one_and_says_what_to_look_at(
    asked: Callable[..., Any], capfd: pytest.CaptureFixture[str], fails: str
) -> None:
    code, _ = asked(FAIL=fails)
    assert code == 100
    assert capfd.readouterr().err.splitlines() == [
        "apt could not install docker.io b c",
        "next: apt-get update on the host, to see whether its package index answers",
    ]


OFFERED = "install -qq --dry-run docker-cli"
BOTH = "install -y -qq --no-install-recommends docker.io docker-cli"


@pytest.mark.parametrize(
    ("has_it", "installed"), [(True, BOTH), (False, BOTH.removesuffix(" docker-cli"))]
)
def test_a_package_of_some_releases_is_installed_where_the_new_index_has_it(
    asked: Callable[..., Any], has_it: bool, installed: str
) -> None:
    code, calls = asked(
        FAIL="" if has_it else OFFERED, packages=["docker.io"], where_offered=["docker-cli"]
    )
    assert (code, calls) == (0, ["update -qq", OFFERED, installed])


def test_it_is_installed_where_it_alone_is_missing(asked: Callable[..., Any]) -> None:
    """As after a run of an earlier version, or where somebody has left it out."""
    code, calls = asked(packages=["there"], where_offered=["docker-cli"])
    assert code == 0
    assert calls == [
        "update -qq",
        OFFERED,
        "install -y -qq --no-install-recommends docker-cli",
    ]


def test_what_is_installed_needs_no_command(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[InstalledPackages] = frozenset({"docker.io", "docker-cli"})
    outcome = run(present, packages=["docker.io"], where_offered=["docker-cli"])
    assert outcome.commands == []
