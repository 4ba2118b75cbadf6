"""The command of a host's docker.service, and its flags."""

from __future__ import annotations

import pytest

from rocminfra.host.sent import docker_look

# As Debian 12 and 13 have it, and Docker's own packages; comments shortened.
DEBIAN = """\
# /lib/systemd/system/docker.service
[Unit]
Description=Docker Application Container Engine
Requires=docker.socket

[Service]
Type=notify
# the default is not to use systemd for cgroups
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
"""
UPSTREAM = """\
# /usr/lib/systemd/system/docker.service
[Service]
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
"""
DROP_IN = """
# /etc/systemd/system/docker.service.d/override.conf
[Service]
ExecStart=
ExecStart=/usr/bin/dockerd -g /srv/docker/ \\
    --log-driver json-file --log-opt max-size=10m -D
"""


def flags_of(unit: str, files: dict[str, str] | None = None) -> dict[str, list[str]]:
    return docker_look.flags(docker_look.daemon_words(unit, (files or {}).get))


@pytest.mark.parametrize("unit", [DEBIAN, UPSTREAM])
def test_the_flags_of_a_package(unit: str) -> None:
    assert flags_of(unit) == {
        "hosts": ["fd://"],
        "containerd": ["/run/containerd/containerd.sock"],
    }


def test_a_drop_in_replaces_the_command() -> None:
    assert flags_of(UPSTREAM + DROP_IN) == {
        "data-root": ["/srv/docker/"],
        "log-driver": ["json-file"],
        "log-opts": ["max-size=10m"],
        "debug": [""],
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("DOCKER_OPTS=--data-root=/srv/docker", ["/srv/docker"]),
        ('DOCKER_OPTS="-g /srv/docker -D"', ["/srv/docker"]),
        ("# DOCKER_OPTS=-g /srv/docker", None),
        ("OTHER=1", None),
    ],
)
def test_variables_of_the_environment_file(line: str, expected: list[str] | None) -> None:
    found = flags_of(DEBIAN, {"/etc/default/docker": f"# a comment\n{line}\n"})
    assert found.get("data-root") == expected


@pytest.mark.parametrize("comment", ["# the large disk", "  ; -g /srv/other", "# the large \\"])
def test_a_comment_may_stand_in_the_middle_of_a_command(comment: str) -> None:
    unit = f"[Service]\nExecStart=/usr/bin/dockerd -H fd:// \\\n{comment}\n  --data-root=/srv/d\n"
    assert flags_of(unit) == {"hosts": ["fd://"], "data-root": ["/srv/d"]}


def test_an_environment_file_has_lines_that_go_on() -> None:
    text = 'DOCKER_OPTS="-D \\\n  --data-root=/srv/docker"\n'
    assert flags_of(DEBIAN, {"/etc/default/docker": text})["data-root"] == ["/srv/docker"]


def test_an_empty_environment_takes_back_those_before_it() -> None:
    unit = DEBIAN.replace("EnvironmentFile", "Environment=DOCKER_OPTS=--debug\nEnvironmentFile")
    assert "debug" in flags_of(unit)
    assert "debug" not in flags_of(unit + "[Service]\nEnvironment=\n")


def test_variables_of_the_unit() -> None:
    unit = (
        '[Service]\nEnvironment="ROOT=/srv/docker" A=1\n'
        "ExecStart=/usr/bin/dockerd --data-root=${ROOT}\n"
    )
    assert flags_of(unit) == {"data-root": ["/srv/docker"]}


@pytest.mark.parametrize("unit", ["", "[Service]\nExecStart=/usr/bin/dockerd 'x\n", "[Unit]\n"])
def test_what_cannot_be_read_as_words_has_no_flags(unit: str) -> None:
    assert docker_look.daemon_words(unit, lambda _: None) == []
