"""One look at a host's Docker: its program, its unit, its file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.host.programs import source
from rocminfra.host.sent import docker_look
from rocminfra.planning.docker import observation


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a Docker of its own, all of it in one folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "unit").write_text(f"[Service]\nExecStart={programs}/dockerd -H fd://\n")
    put(programs / "docker", "exit 0")
    put(
        programs / "systemctl",
        f"case $1 in cat) cat {tmp_path}/unit;; show) echo LoadState=loaded;; esac",
    )
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(docker_look, "FOLDERS", (str(programs),))
    monkeypatch.setattr(docker_look, "CONFIGURATION", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(docker_look, "ROOT_CONTEXT", str(tmp_path / "config.json"))
    monkeypatch.setattr(docker_look, "INVOCATION", str(tmp_path / "invocation"))
    monkeypatch.setattr(docker_look, "PROC", str(tmp_path / "proc"))
    return tmp_path


def put(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def process(host: Path, pid: int, *words: str) -> None:
    """A process as /proc has it."""
    folder = host / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_text("".join(f"{word}\0" for word in words))


def looked(data_root: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert docker_look.main(["look", data_root]) == 0
    nothing = {"daemons": [], "socket": "", "is_taken": False}
    lines = [*capsys.readouterr().out.splitlines(), json.dumps(nothing)]
    return DockerConfiguration().process(lines)


def test_a_file_that_a_flag_puts_elsewhere_is_the_one_that_is_looked_at(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = host / "srv.json"
    words = (f"{host}/bin/dockerd", "-H", "fd://", "--config-file", str(there))
    (host / "unit").write_text(f"[Service]\nExecStart={' '.join(words)}\n")
    there.write_text(json.dumps({"data-root": f"{host}/data"}))
    (host / "daemon.json").write_text("{ not read")
    (host / "data").mkdir()
    running(host, *words)
    aged(host / "invocation", 60)
    seen = looked("/x", capsys)
    assert (seen.file, seen.file_path) == (there.read_text(), str(there))
    assert seen.file_problem == ""
    assert seen.is_same_path(f"{host}/data/", f"{host}/data")
    assert seen.is_file_elsewhere is True
    assert seen.is_proven
    aged(host / "invocation", -60)
    assert not looked("/x", capsys).is_proven, "it was changed since"
    # A link to it is the same file.
    (host / "daemon.json").unlink()
    (host / "daemon.json").symlink_to(there)
    monkeypatch.setattr(observation, "DAEMON_JSON", str(host / "daemon.json"))
    assert looked("/x", capsys).is_file_elsewhere is False


def test_one_look_has_everything(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "disk").mkdir()
    (host / "link").symlink_to(host / "disk")
    (host / "daemon.json").write_text(json.dumps({"data-root": f"{host}/link/docker/"}))
    (host / "config.json").write_text('{"currentContext": "rootless"}')
    with (host / "unit").open("a") as unit:
        unit.write(f"ExecStart={host}/bin/dockerd -H fd:// --http-proxy http://me:word@proxy\n")
    put(host / "bin/dockerd", "exit 0")
    (host / "disk/docker/volumes/database").mkdir(parents=True)
    (host / "disk/docker/volumes/metadata.db").touch()
    seen = looked(f"{host}/disk/docker", capsys)
    assert seen.left == ("volume database",)
    assert (seen.program, seen.engine) == (f"{host}/bin/docker", f"{host}/bin/dockerd")
    assert (seen.load_state, seen.context, seen.is_podman) == ("loaded", "rootless", False)
    assert seen.flags == {"hosts": ("fd://",), "http-proxy": ()}, "a password may be in it"
    assert seen.is_same_path(f"{host}/link/docker/", f"{host}/disk/docker")
    assert not seen.is_same_path(f"{host}/link/other", f"{host}/disk/docker")


def test_the_usual_folder_may_be_a_link(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "disk").mkdir()
    (host / "usual").symlink_to(host / "disk")
    monkeypatch.setattr(docker_look, "DEFAULT_ROOT", f"{host}/usual")
    seen = looked(f"{host}/disk", capsys)
    assert seen.is_same_path(f"{host}/usual", f"{host}/disk")
    assert seen.inodes[f"{host}/usual"] == seen.inodes[f"{host}/disk"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DOCKER_HOST", "unix:///run/user/1000/docker.sock", ("", "{}")),
        ("DOCKER_HOST", "unix:///var/run/docker.sock", ("", "")),
        ("DOCKER_CONTEXT", "desktop-linux", ("{}", "")),
        ("DOCKER_CONTEXT", "default", ("", "")),
    ],
)
def test_variables_may_send_the_client_elsewhere(
    name: str,
    value: str,
    expected: tuple[str, str],
    host: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    seen = looked("/x", capsys)
    assert (seen.context, seen.host) == tuple(text.format(value) for text in expected)


def test_a_file_that_is_none_to_replace(host: Path) -> None:
    file = host / "daemon.json"
    assert docker_look.file_problem(str(file)) == ""
    file.symlink_to("/srv/dotfiles/daemon.json")
    assert docker_look.file_problem(str(file)) == "is a link to /srv/dotfiles/daemon.json"
    file.unlink()
    file.mkdir()
    assert docker_look.file_problem(str(file)) == "is not a file"
    file.rmdir()
    file.write_text("{}")
    assert docker_look.file_problem(str(file)) == ""


def test_runtimes_of_which_the_program_is_gone(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(host / "bin/here", "exit 0")
    runtimes = {
        "a": {"path": f"{host}/bin/here"},
        "b": {"path": "here"},
        "c": {"path": f"{host}/bin/gone", "runtimeArgs": []},
        "d": {"runtimeType": "io.containerd.kata.v2"},
        "e": None,
    }
    (host / "daemon.json").write_text(json.dumps({"runtimes": runtimes}))
    assert looked("/x", capsys).missing == (f"{host}/bin/gone",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/dev/vdc /mnt/models xfs rw,noatime,prjquota 0 0", True),
        ("/dev/vdc /mnt/models xfs rw,noatime,noquota 0 0", False),
        ("/dev/vdc /mnt/models2 xfs rw,prjquota 0 0", None),
    ],
)
def test_quotas_of_the_disk_that_holds_the_data(line: str, expected: bool | None) -> None:
    mounts = f"/dev/vda1 / ext4 rw,relatime 0 0\n{line}\nproc /proc proc rw 0 0\n"
    assert docker_look.has_quota("/mnt/models/docker", mounts) is expected


def running(host: Path, *words: str) -> None:
    """A docker.service whose process was started with these words."""
    put(
        host / "bin/systemctl",
        f"case $1 in cat) cat {host}/unit;; show) echo MainPID=7;; is-active) echo active;; esac",
    )
    process(host, 7, *words)
    (host / "invocation").symlink_to("1")


def aged(path: Path, seconds: float) -> None:
    """Set a link's time; that of a file's last change cannot be set."""
    now = time.time() + seconds
    os.utime(path, (now, now), follow_symlinks=False)


@pytest.mark.parametrize(
    ("words", "started_s", "expected"),
    [
        (("-H", "fd://"), 60, True),
        (("-H", "fd://"), -60, False),  # daemon.json was changed since
        (("-H", "fd://", "--debug"), 60, False),  # the unit was
        ((), 60, False),
    ],
)
def test_a_daemon_is_proven_that_was_started_with_what_is_there_now(
    words: tuple[str, ...],
    started_s: float,
    expected: bool,
    host: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running(host, f"{host}/bin/dockerd", *words)
    file = host / "daemon.json"
    file.write_text("{}")
    os.utime(file, (0, 0))  # moved there, with the time of its text
    aged(host / "invocation", started_s)
    seen = looked("/x", capsys)
    assert seen.is_proven is expected
    file.unlink()
    assert looked("/x", capsys).is_proven is (words == ("-H", "fd://"))


def test_where_nothing_tells_when_docker_started_it_is_not_proven(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running(host, f"{host}/bin/dockerd", "-H", "fd://")
    (host / "invocation").unlink()
    (host / "daemon.json").write_text("{}")
    assert not looked("/x", capsys).is_proven


def test_a_swarm_is_left_behind_as_well(tmp_path: Path) -> None:
    (tmp_path / "swarm").mkdir()
    assert docker_look.left_in(str(tmp_path)) == []
    (tmp_path / "swarm/docker-state.json").touch()
    assert docker_look.left_in(str(tmp_path)) == ["membership in a swarm"]


def test_podman_under_the_name_of_docker(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(host / "bin/docker", 'exec /usr/bin/podman "$@"')
    assert looked("/x", capsys).is_podman
    (host / "bin/docker").unlink()
    put(host / "bin/podman", "exit 0")
    (host / "bin/docker").symlink_to(host / "bin/podman")
    assert looked("/x", capsys).is_podman


def validated(host: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", source("docker_look"), "validate"],
        input=text,
        env={**os.environ, "PATH": f"{host}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_daemons_program_is_asked_with_the_flags_of_its_unit(host: Path) -> None:
    put(
        host / "bin/dockerd",
        f"""case $1 in --help) echo "  --validate  check"; exit;; esac
echo "$@" >{host}/asked; cat "$5" >{host}/file
if grep -q bad "$5"; then echo "unable to configure the Docker daemon with file $5" >&2; exit 1; fi
""",
    )
    assert validated(host, '{"a": 1}').returncode == 0
    assert (host / "asked").read_text().startswith("-H fd:// --validate --config-file /run/")
    assert (host / "file").read_text() == '{"a": 1}'
    refused = validated(host, '{"bad": 1}')
    assert refused.returncode == 1
    expected = "unable to configure the Docker daemon with file /etc/docker/daemon.json\n"
    assert refused.stderr == expected
    assert not Path((host / "asked").read_text().split()[-1]).exists(), "nothing is left in /run"


# As Docker 20.10 says it; the checks are its own.
OLDER = """case "$*" in --help) echo "  --debug"; exit;; esac
test "$(id -u)" != 0 || { echo started >%s/started; exit 0; }
test -r "$4" || { echo "open $4: permission denied" >&2; exit 1; }
said="unable to configure the Docker daemon with file $4: x"
if grep -q bad "$4"; then echo "$said" >&2; exit 1; fi
if grep -q odd "$4"; then echo "something else" >&2; exit 1; fi
echo "failed to start daemon: dockerd needs to be started with root privileges." >&2; exit 1
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="gives rights up, so it needs them")
@pytest.mark.parametrize(("text", "code"), [('{"a": 1}', 0), ('{"bad": 1}', 1), ('{"odd": 1}', 2)])
def test_an_older_daemon_is_started_without_rights_and_stops_after_its_configuration(
    text: str, code: int, host: Path
) -> None:
    # Where a user that nobody is may look.
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        shutil.copytree(host / "bin", f"{folder}/bin")
        os.chmod(folder, 0o755)
        put(Path(folder) / "bin/dockerd", OLDER % folder)
        unit = f"[Service]\nExecStart={folder}/bin/dockerd -H fd://\n"
        (host / "unit").write_text(unit)
        asked = validated(host, text)
        assert asked.returncode == code, asked.stderr
        said = "unable to configure the Docker daemon with file /etc/docker/daemon.json: x\n"
        assert asked.stderr == (said if code == 1 else "")
        assert not Path(folder, "started").exists()


@pytest.mark.parametrize("program", [None, 'echo "  --debug"; exit 0'])
def test_a_program_that_cannot_say_says_so(host: Path, program: str | None) -> None:
    if program is not None:
        put(host / "bin/dockerd", program)
    assert validated(host, "{").returncode == 2
