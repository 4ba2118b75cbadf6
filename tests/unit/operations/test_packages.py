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
from rocminfra.operations.packages import present, script

APT = """#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
echo "$@" >> LOG
case "$*" in update*) if test -n "$UPDATE_SAYS"; then echo "$UPDATE_SAYS" >&2; fi
    test -z "$UPDATE_CODE" || exit "$UPDATE_CODE";; esac
case "$*" in $FAIL) exit 100;; esac
case "$(cat LOG)" in *update*) exit 0;; esac
case "$*" in "$FAIL_UNTIL_UPDATE") exit 100;; esac
"""
INSTALL = "install -y -qq --no-install-recommends docker.io b c"
TRY = "install -qq --dry-run docker.io b c"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[str]]]:
    """What apt-get is asked by the job on the host, and how that ends."""
    stamp, log = tmp_path / "updated", tmp_path / "log"
    monkeypatch.setattr(packages, "UPDATED", str(stamp))
    monkeypatch.setattr(packages, "PYINFRA_UPDATED", str(tmp_path / "of-pyinfra"))
    apt = tmp_path / "apt-get"
    apt.write_text(APT.replace("LOG", str(log)))
    apt.chmod(0o755)

    def ask(
        packages: Sequence[str] = ("docker.io", "b c"),
        where_offered: Sequence[str] = (),
        **environment: str,
    ) -> tuple[int, list[str]]:
        log.write_text("")
        done = subprocess.run(
            ["sh", "-c", script(packages, where_offered)],
            env={
                **os.environ,
                "PATH": f"{tmp_path}:/usr/bin:/bin",
                "FAIL": "",
                "JOB": str(tmp_path / "job"),
                **environment,
            },
            check=False,
        )
        return done.returncode, log.read_text().splitlines()

    return ask


def test_an_index_is_updated_once(asked: Callable[..., Any], tmp_path: Path) -> None:
    assert asked() == (0, ["update -qq", INSTALL])
    assert asked() == (0, [TRY, INSTALL])
    os.utime(tmp_path / "updated", (0, 0))
    assert asked() == (0, ["update -qq", INSTALL])


def test_a_tmp_that_is_full_or_runs_nothing_is_not_used(
    asked: Callable[..., Any], tmp_path: Path
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$TMPDIR" >> {tmp_path}/places\n')
    assert asked()[0] == 0
    assert set((tmp_path / "places").read_text().split()) == {"/var/tmp"}


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


def test_an_installation_that_fails_twice_is_over(asked: Callable[..., Any]) -> None:
    code, calls = asked(FAIL=INSTALL)
    assert (code, calls) == (100, ["update -qq", INSTALL])


DEAD = (
    "Err:1 http://repo.invalid/rocm/apt/6.3 jammy InRelease\n"
    "W: Failed to fetch http://repo.invalid/rocm/apt/6.3/dists/jammy/InRelease  Could not resolve\n"
    "W: Some index files failed to download. They have been ignored, or old ones used instead."
)
NO_RELEASE = "E: The repository 'http://203.0.113.9/deb ./ Release' does not have a Release file."


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (DEAD, 0),
        (DEAD, 100),
        (NO_RELEASE, 100),
        ("W: GPG error: http://203.0.113.9/deb stable: NO_PUBKEY 0123", 0),
        ("E: Type 'dep' is not known on line 1 in source list /etc/apt/sources.list.d/x.list", 100),
    ],
)
def test_a_dead_source_is_named_and_stops_nothing_that_is_installable(
    asked: Callable[..., Any], tmp_path: Path, says: str, code: int
) -> None:
    done = asked(UPDATE_SAYS=says, UPDATE_CODE=str(code))
    assert done == (0, ["update -qq", *([TRY] if code else []), INSTALL])
    status = (tmp_path / "job.status").read_text()
    assert says.splitlines()[0] in status
    assert "Some index files" not in status
    # And not tried again for the next package of the same run.
    assert asked() == (0, [TRY, INSTALL])


def test_a_source_whose_package_is_wanted_fails_the_installation(
    asked: Callable[..., Any], tmp_path: Path
) -> None:
    fails = "*docker.io*"
    code, calls = asked(UPDATE_SAYS=DEAD, UPDATE_CODE="100", FAIL=fails)
    assert (code, calls) == (100, ["update -qq", TRY, INSTALL])
    assert not (tmp_path / "updated").exists(), "an index that is not new counts for an hour"


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
    code, calls = asked(packages=[], where_offered=["docker-cli"])
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
