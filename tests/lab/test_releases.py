"""The whole deploy on Debian 13, whose packages are cut differently; on others in tests/soak."""

from __future__ import annotations

from collections.abc import Iterator

import lab_host
import pytest
from deploys import Twice, check_twice, deploy_twice, pyinfra, rocminfra

from rocminfra.lab import status
from rocminfra.lab.droplets import Wanted

pytestmark = pytest.mark.lab

LEFT_OUT = ("xfsprogs", "ca-certificates")
UBUNTU = 'ID=ubuntu\\nVERSION_ID="24.04"\\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\\n'


@pytest.fixture(scope="module")
def twice() -> Iterator[Twice]:
    (host,) = lab_host.up(["trixie"], Wanted(release="trixie"))
    try:
        # As on a minimal installation, which has no more than it must.
        host.ok(f"DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq {' '.join(LEFT_OUT)}")
        yield deploy_twice(host)
    finally:
        lab_host.down(host.name)


def test_the_droplet_is_of_the_release(twice: Twice) -> None:
    assert twice.host.ok(". /etc/os-release; echo $VERSION_CODENAME").strip() == "trixie"
    found = {item.name: item.release for item in status.read(lab_host.PATHS)}
    assert found[twice.host.name] == "trixie"


def test_a_deploy_serves_and_a_second_one_changes_nothing(twice: Twice) -> None:
    check_twice(twice)


def test_what_a_minimal_installation_lacks_was_installed(twice: Twice) -> None:
    found = twice.host.ok(f"dpkg-query -W -f '${{Package}} ${{Status}}\\n' {' '.join(LEFT_OUT)}")
    assert found.count("install ok installed") == len(LEFT_OUT), found
    assert "mkfs.xfs" in twice.host.ok("command -v mkfs.xfs")


def test_the_program_docker_is_in_a_package_of_its_own(twice: Twice) -> None:
    assert twice.host.ok("dpkg -S /usr/bin/docker").startswith("docker-cli:")


def test_a_docker_without_its_program_gets_it(twice: Twice) -> None:
    """As a run of a version that did not know of the package has left it."""
    host = twice.host
    host.ok("apt-get remove -y -qq docker-cli")
    run = rocminfra(host, "apply", "-y", "tasks/docker.py")
    assert run.code == 0, run.err
    assert host.ok("docker info -f '{{.DockerRootDir}}'").strip() == "/mnt/models/docker"


def test_a_program_that_is_gone_is_named_with_its_package(twice: Twice) -> None:
    """As on a release that keeps `docker` where nobody has looked for it."""
    host = twice.host
    host.ok("mv /usr/bin/docker /usr/bin/docker.kept")
    try:
        run = rocminfra(host, "apply", "-y", "tasks/docker.py")
    finally:
        host.ok("mv /usr/bin/docker.kept /usr/bin/docker")
    assert run.code == 6, run.err
    last = run.err.strip().splitlines()
    assert "docker.io, ca-certificates, xz-utils, docker-cli are installed: docker" in last[-2]
    assert last[-1].startswith("next: on the host: apt-get install --reinstall docker.io ")
    assert "not found" not in run.err


def test_a_release_that_was_never_tried_is_said_and_not_refused(twice: Twice) -> None:
    host = twice.host
    host.ok(f"rm /etc/os-release; printf '{UBUNTU}' >/etc/os-release")
    try:
        plan = rocminfra(host, "plan")
        run = pyinfra((host,), "-y", "deploy.py", "--json")
    finally:
        host.ok("ln -sf ../usr/lib/os-release /etc/os-release")
    assert plan.code == 0, plan.err
    notices = [line for line in plan.err.splitlines() if "never tried on" in line]
    assert len(notices) == 1
    assert "never tried on Ubuntu 24.04.1 LTS, only on Debian 11, Debian 12" in notices[0]
    assert run.code == 0, run.err
    assert run.changed == []
