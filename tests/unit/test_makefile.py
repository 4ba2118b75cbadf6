"""``make`` on a machine that lacks something: said in words, with the next command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder that comes first on the search path; no package is installed there."""
    _stub(tmp_path, "dpkg-query", "exit 1")
    _stub(tmp_path, "id", "echo 0")
    _stub(tmp_path, "apt-get", "exit 0")
    return tmp_path


def _stub(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def _make(stubs: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    # What is under test is a prerequisite of both; by itself it changes nothing here.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", "--silent", "packages"],
        cwd=ROOT,
        env={**environ, "PATH": path or f"{stubs}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def test_what_is_missing_is_installed_and_said(stubs: Path) -> None:
    _stub(stubs, "apt-get", f'echo "$@" >>{stubs}/called')
    done = _make(stubs)
    assert done.returncode == 0, done.stderr
    assert "==> Debian packages: debootstrap systemd-container" in done.stderr
    update, install = (stubs / "called").read_text().splitlines()
    assert update.endswith(" update")
    assert "install -y --no-install-recommends debootstrap systemd-container" in install


def test_nothing_is_asked_of_apt_when_all_is_there(stubs: Path) -> None:
    _stub(stubs, "dpkg-query", "printf 'install ok installed'")
    _stub(stubs, "apt-get", "exit 1")
    _stub(stubs, "id", "echo 1000")
    done = _make(stubs)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_root_it_says_how_to_get_it(stubs: Path) -> None:
    _stub(stubs, "id", "echo 1000")
    done = _make(stubs)
    assert done.returncode != 0
    assert "needs root, to install: debootstrap" in done.stderr
    assert "next: sudo make packages" in done.stderr


def test_a_package_index_that_does_not_answer_is_said_below_apts_own_words(stubs: Path) -> None:
    words = "E: Unable to locate package debootstrap"
    _stub(stubs, "apt-get", f'case "$*" in *install*) echo "{words}" >&2; exit 100;; esac')
    done = _make(stubs)
    assert done.returncode != 0
    said = done.stderr.splitlines()
    assert words in said
    (reason,) = (line for line in said if line.startswith("apt could not install: debootstrap"))
    (following,) = (line for line in said if line.startswith("next: apt-get update"))
    assert said.index(reason) < said.index(following)


def test_one_source_that_does_not_answer_is_no_reason_to_stop(stubs: Path) -> None:
    _stub(stubs, "apt-get", 'case "$*" in *update*) exit 100;; esac')
    assert _make(stubs).returncode == 0


def test_another_distribution_is_told_what_it_takes(stubs: Path) -> None:
    (stubs / "apt-get").unlink()
    # Only what the recipe itself calls, so that this machine's apt-get is out of sight.
    for program in ("bash", "sh", "grep", "make"):
        for folder in ("/bin", "/usr/bin"):
            if Path(folder, program).exists() and not (stubs / program).exists():
                (stubs / program).symlink_to(Path(folder, program))
    done = _make(stubs, path=str(stubs))
    assert done.returncode != 0
    assert "there is no apt-get" in done.stderr
    assert "next: use Debian or Ubuntu" in done.stderr
