"""Releases of droplets: from the archive of this machine, under another codename."""

from __future__ import annotations

from pathlib import Path

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, FailedError
from rocminfra.lab import base_root, machine, releases
from rocminfra.lab.machine import Release
from rocminfra.lab.paths import LabPaths

OWN = Release("debian", "bookworm", "amd64")
TARGETS = """\
http://203.0.113.7/debian/ bookworm main Debian
http://203.0.113.7/debian/ bookworm contrib Debian
http://203.0.113.7/debian/ bookworm main Debian
http://203.0.113.7/debian/ bookworm-updates main Debian
http://203.0.113.7/security/ bookworm-security main Debian
https://203.0.113.9/tools bookworm main Tools
https://203.0.113.9/node nodistro main Nodes
"""
SOURCES = """\
deb http://203.0.113.7/debian trixie main contrib
deb http://203.0.113.7/debian trixie-updates main
deb http://203.0.113.7/security trixie-security main
"""


@pytest.fixture(autouse=True)
def of_bookworm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "release", lambda: OWN)
    monkeypatch.setattr(machine, "index_targets", lambda: TARGETS)


@pytest.mark.parametrize("codename", [None, "bookworm"])
def test_this_machines_own_release_is_the_default(codename: str | None) -> None:
    assert releases.chosen(codename) == OWN


def test_another_release_is_of_the_same_distribution_and_machine() -> None:
    assert releases.chosen("trixie") == Release("debian", "trixie", "amd64")


@pytest.mark.parametrize("codename", ["", "../etc", "Trixie", "13", "a b", "-x"])
def test_what_is_no_codename_is_refused(codename: str) -> None:
    with pytest.raises(FailedError) as caught:
        releases.chosen(codename)
    assert caught.value.failure.kind == ExitCode.SETTINGS
    assert next_of(caught.value) == "rocminfra lab up --release bookworm"


def test_sources_are_those_of_the_distribution_under_the_other_codename() -> None:
    assert releases.sources(TARGETS, "bookworm", "trixie") == SOURCES


def test_the_mirror_is_the_same() -> None:
    assert releases.mirror(Release("debian", "trixie", "amd64")).uri == "http://203.0.113.7/debian"


def test_a_source_of_the_other_release_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = f"{TARGETS}http://203.0.113.8/next trixie main Debian\n"
    monkeypatch.setattr(machine, "index_targets", lambda: listed)
    assert releases.mirror(Release("debian", "trixie", "amd64")).uri == "http://203.0.113.8/next"


def test_without_any_source_this_machines_release_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "index_targets", lambda: "")
    with pytest.raises(FailedError, match="no source for bookworm"):
        releases.mirror(Release("debian", "trixie", "amd64"))


def test_other_peoples_archives_and_old_keys_stay_out_of_another_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {
        "/etc/apt/sources.list": b"deb http://203.0.113.7/debian bookworm main\n",
        "/etc/apt/sources.list.d/tools.list": b"deb https://203.0.113.9/tools bookworm main\n",
        "/etc/apt/trusted.gpg.d/debian-archive-bookworm-stable.asc": b"release",
        "/etc/apt/trusted.gpg.d/company.asc": b"company",
        "/usr/share/keyrings/debian-archive-keyring.gpg": b"ring",
    }
    monkeypatch.setattr(machine, "apt_files", lambda: dict(files))
    assert releases.apt_files(OWN) == files
    assert releases.apt_files(Release("debian", "trixie", "amd64")) == {
        "/etc/apt/sources.list": SOURCES.encode(),
        "/etc/apt/trusted.gpg.d/company.asc": b"company",
    }


def test_base_roots_and_packages_are_kept_by_release(paths: LabPaths) -> None:
    (paths.cache / "base-trixie-0123456789ab").mkdir(parents=True)
    (paths.cache / "base-bullseye-0123456789ab.building-7").mkdir()
    assert base_root.is_built(paths.cache, "trixie")
    assert not base_root.is_built(paths.cache, "bookworm")
    assert not base_root.is_built(paths.cache, "bullseye")
    assert paths.debs("trixie") == Path(paths.cache, "debs", "trixie")
    keys = {base_root.key(Release("debian", name, "amd64"), {}) for name in ("bookworm", "trixie")}
    assert len(keys) == 2
