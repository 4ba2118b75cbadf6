"""Dockers that run on a host without docker.service, and what Docker's socket is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.sent import docker_daemons


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a docker.service whose process is 7."""
    (tmp_path / "bin").mkdir()
    states(tmp_path, "active")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(docker_daemons, "SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(docker_daemons, "PROC", str(tmp_path / "proc"))
    process(tmp_path, 7, "/usr/bin/dockerd", "-H", "fd://")
    return tmp_path


def states(host: Path, *words: str) -> None:
    """What systemd says of docker.socket and docker.service."""
    said = "; ".join(f"echo {word}" for word in words)
    program = host / "bin/systemctl"
    program.write_text(
        "#!/bin/sh\ncase $* in show*x.service) echo 18;; show*docker.service) echo 7;; "
        f"is-active*) {said};; esac\n"
    )
    program.chmod(0o755)


def process(
    host: Path, pid: int, *words: str, user: int = 0, group: str = "/", namespaces: str = ""
) -> None:
    """A process as /proc has it."""
    folder = host / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_text("".join(f"{word}\0" for word in words))
    (folder / "status").write_text(
        f"Name:\tx\nUid:\t{user}\t{user}\t{user}\t{user}\nNSpid:\t{pid}{namespaces}\n"
    )
    (folder / "cgroup").write_text(f"12:cpu:/x\n1:name=systemd:{group}\n")


def looked(capsys: pytest.CaptureFixture[str]) -> Any:
    docker_daemons.main()
    return json.loads(capsys.readouterr().out)


def daemon(pid: int, **what: Any) -> dict[str, Any]:
    usual = {"user": 0, "unit": "", "is_units": False, "hosts": [], "data_root": ""}
    return {"pid": pid, **usual, **what}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--host=a", "-H", "b", "-H=c", "-Hd", "--host", "e"], ["a", "b", "c", "d", "e"]),
        (["--hostname", "x", "--debug", "fd://"], []),
        (["-H"], [""]),
    ],
)
def test_values_of_a_flag(words: list[str], expected: list[str]) -> None:
    assert docker_daemons.values_of(words, ("--host", "-H")) == expected


def test_daemons_that_docker_service_has_not_started(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snap = "/system.slice/snap.docker.dockerd.service"
    process(host, 10, "dockerd", "--group", "docker", group=snap)
    process(host, 11, "/opt/dockerd", "-H", "tcp://:1", "-g", "/srv/d", group="/user.slice/a.scope")
    user = "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service"
    process(host, 12, "dockerd", user=1000, group=user)
    process(host, 13, "dockerd", namespaces="\t1", group="/system.slice/docker-1.scope")
    process(host, 14, "dockerd", group="/system.slice/docker.service")
    process(host, 15, "/usr/bin/dockerd", "--validate", "--config-file", "/x")
    process(host, 18, "dockerd", group="/system.slice/x.service")
    process(host, 19, "dockerd", group="/system.slice/ssh.service")
    process(host, 16, "vim", "dockerd")
    process(host, 17)
    assert looked(capsys)["daemons"] == [
        daemon(10, unit="snap.docker.dockerd.service"),
        daemon(11, unit="a.scope", hosts=["tcp://:1"], data_root="/srv/d"),
        daemon(12, user=1000, unit="docker.service"),
        daemon(18, unit="x.service", is_units=True),
        daemon(19, unit="ssh.service"),
    ]


@pytest.mark.parametrize(
    ("line", "state", "expected"),
    [
        ("00010000 0001 01 99 {}", "inactive", True),
        ("00000000 0001 03 99 {}", "inactive", False),  # connected, and nobody listens
        ("00010000 0001 01 99 {}", "active", False),  # systemd, for docker.service
        ("00010000 0001 01 99 {}.other", "inactive", False),
        ("00010000 0001 01 99", "inactive", False),
    ],
)
def test_somebody_else_may_listen_at_dockers_socket(
    line: str, state: str, expected: bool, host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states(host, "inactive", state)
    (host / "proc/net").mkdir(parents=True)
    row = f"0000000000000000: 00000002 00000000 {line.format(host / 'docker.sock')}\n"
    (host / "proc/net/unix").write_text(f"Num RefCount Protocol Flags Type St Inode Path\n{row}")
    assert looked(capsys)["is_taken"] is expected


def test_dockers_socket_may_lead_elsewhere(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert looked(capsys)["socket"] == ""
    (host / "docker.sock").symlink_to("/run/podman/podman.sock")
    assert looked(capsys)["socket"] == "/run/podman/podman.sock"
