"""Installed packages."""

from __future__ import annotations

from rocminfra.facts.packages import InstalledPackages


def test_only_fully_installed_packages_count() -> None:
    output = ["docker.io|install ok installed", "xfsprogs|deinstall ok config-files"]
    assert InstalledPackages().process(output) == {"docker.io"}


def test_its_arguments_are_quoted() -> None:
    assert "'a b'" in str(InstalledPackages().command(["a b"]))
