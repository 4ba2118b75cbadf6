"""What operations need of the host, and the packages that bring it."""

from __future__ import annotations

import pytest

from rocminfra.planning.programs import VENV, XFS, Need, docker, virtual_environments


def test_modules_are_missing_by_the_name_that_people_type() -> None:
    assert VENV.missing({"python3 -m venv"}) == ("python3 -m ensurepip",)
    assert VENV.missing({"python3 -m venv", "python3 -m ensurepip"}) == ()


@pytest.mark.parametrize(
    ("package", "split_off"),
    [("docker.io", ("docker-cli",)), ("docker-ce", ()), ("docker-ce=5:27.0", ())],
)
def test_only_debians_docker_has_its_program_split_off(
    package: str, split_off: tuple[str, ...]
) -> None:
    need = docker(package, apparmor=False)
    assert need.packages[0] == package
    assert need.where_offered == split_off
    assert need.programs == ("docker", "dockerd")


def test_apparmors_parser_is_needed_where_the_kernel_enforces_it() -> None:
    assert "apparmor" in docker("docker.io", apparmor=True).packages
    assert "apparmor" not in docker("docker.io", apparmor=False).packages


def test_another_python_than_the_releases_own_has_a_package_of_its_own() -> None:
    need = virtual_environments((3, 12))
    assert need.packages == ("python3-venv",)
    assert need.where_offered == ("python3.12-venv",)
    assert virtual_environments(None) == VENV


@pytest.mark.parametrize("need", [XFS, VENV, docker("docker.io", apparmor=True)])
def test_every_need_can_be_looked_for_and_installed(need: Need) -> None:
    assert need.packages
    assert need.programs or need.modules
