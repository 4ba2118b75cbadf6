"""Installed packages."""

from __future__ import annotations

from rocminfra.facts.packages import InstalledPackages


def test_only_fully_installed_packages_count() -> None:
    output = ["docker.io|install ok installed", "xfsprogs|deinstall ok config-files"]
    assert InstalledPackages().process(output) == {"docker.io"}


def test_a_package_on_hold_is_installed() -> None:
    """apt refuses to touch it, so it must not be asked to install it once more."""
    output = [
        *("docker.io|hold ok installed", "xfsprogs|install ok half-configured"),
        *("fio|install reinstreq installed", "python3-venv|deinstall ok installed", "x|"),
    ]
    assert InstalledPackages().process(output) == {"docker.io", "python3-venv"}


def test_its_arguments_are_quoted() -> None:
    assert "'a b'" in str(InstalledPackages().command(["a b"]))
