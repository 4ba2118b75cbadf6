"""``rocminfra lab``: wrong use is a message with the next command and an exit code."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from failing import next_of

from rocminfra.failure import ExitCode, FailedError
from rocminfra.lab import cli, droplet_record, droplets, hosts, processes, requirements
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.paths import LabPaths, default_paths
from rocminfra.settings import load_settings

MakeRecord = Callable[..., Droplet]


@pytest.fixture(autouse=True)
def nothing_up(paths: LabPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab of which nothing is up."""
    monkeypatch.setattr(cli, "default_paths", lambda: paths)
    monkeypatch.setattr(processes, "running", lambda _paths: frozenset())
    monkeypatch.setattr(requirements, "check_root", lambda: None)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.lab, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["up", "--name", "Not_A_Name"], ExitCode.SETTINGS, "cannot be a droplet's name"),
        (["up", "--name", "aa", "--name", "aa"], ExitCode.SETTINGS, "given twice"),
        (["up", "--name", "aa", "--count", "2"], ExitCode.SETTINGS, "does not fit"),
        (["up", "--release", "13"], ExitCode.SETTINGS, "is not a release's codename"),
        (["down"], ExitCode.SETTINGS, "which droplet?"),
        (["down", "aa"], ExitCode.SETTINGS, "there is no droplet 'aa'"),
        (["ssh", "aa"], ExitCode.SETTINGS, "there is no droplet 'aa'"),
        (["logs", "aa"], ExitCode.SETTINGS, "there is no droplet 'aa'"),
        (["reset-disk", "aa"], ExitCode.SETTINGS, "there is no droplet 'aa'"),
        (["clean", "--cache", "--dead"], ExitCode.SETTINGS, "does not go with"),
    ],
)
def test_wrong_use_is_said(paths: LabPaths, arguments: list[str], code: int, what: str) -> None:
    result = _run(*arguments)
    assert result.exit_code == code
    assert what in result.stderr
    assert result.stdout == ""
    assert not paths.state.exists()


def test_a_droplet_that_is_up_is_not_made_again(
    paths: LabPaths, monkeypatch: pytest.MonkeyPatch, record: MakeRecord
) -> None:
    droplet_record.save(paths, record("lab-1"))
    monkeypatch.setattr(processes, "running", lambda _paths: frozenset({"lab-1"}))
    result = _run("up", "--name", "lab-1")
    assert result.exit_code == ExitCode.LOCKED
    assert "is up already" in result.stderr
    assert "next: " in result.stderr


@pytest.mark.parametrize("verb", [["up", "--name"], ["ssh"], ["reset-disk"]])
def test_a_droplet_of_a_killed_run_names_the_way_out(
    paths: LabPaths, verb: list[str], record: MakeRecord
) -> None:
    droplet_record.save(paths, record("lab-1"))
    result = _run(*verb, "lab-1")
    assert result.exit_code == ExitCode.UNFIT
    assert "left over from a run that was killed" in result.stderr
    assert "next: rocminfra lab down lab-1" in result.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fills_up_meanwhile_is_said(
    paths: LabPaths, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/cache/debs/a.deb")

    monkeypatch.setattr(droplets, "up", full)
    result = _run("up")
    assert result.exit_code == ExitCode.UNFIT
    lines = result.stderr.splitlines()
    assert lines[0] == f"{os.strerror(number)}: /cache/debs/a.deb [RI-648]"
    assert lines[1] == f"next: make room: df -h {paths.state.parent} {paths.cache.parent}"


def test_down_of_what_is_not_there_can_be_asked_for(paths: LabPaths) -> None:
    assert _run("down", "aa", "--if-exists").exit_code == 0


def test_status_is_data_on_request(paths: LabPaths, record: MakeRecord) -> None:
    droplet_record.save(paths, record("lab-1"))
    (paths.state / "broken").mkdir()
    found = json.loads(_run("status", "--json").stdout)["droplets"]
    assert [(item["name"], item["state"]) for item in found] == [
        ("broken", "dead"),
        ("lab-1", "dead"),
    ]


def test_no_droplet_says_what_to_do(paths: LabPaths) -> None:
    assert "rocminfra lab up" in _run("status").stderr
    with pytest.raises(FailedError, match="no practice droplet is up") as caught:
        hosts.hosts(paths)
    assert "rocminfra lab up" in next_of(caught.value)
    assert "make demo" in next_of(caught.value)


def test_host_data_are_valid_settings(
    paths: LabPaths, monkeypatch: pytest.MonkeyPatch, record: MakeRecord
) -> None:
    droplet = record("lab-1")
    monkeypatch.setattr(hosts.keys, "private_key", lambda *_: Path("/key"))
    monkeypatch.delenv(hosts.USER_VARIABLE, raising=False)
    settings = load_settings(hosts.data(paths, droplet))
    assert settings.storage.expected_size_gib == 5120
    assert settings.engine.image_source == "archive"
    assert settings.model.is_local_folder
    assert settings.engine.environment == {"ROCMINFRA_SIM_TIME_SCALE": "20"}
    assert not any(name.startswith("VLLM_") for name in settings.engine.environment)


def test_the_sudo_user_can_be_asked_for(
    paths: LabPaths, monkeypatch: pytest.MonkeyPatch, record: MakeRecord
) -> None:
    monkeypatch.setattr(hosts.keys, "private_key", lambda *_: Path("/key"))
    monkeypatch.setenv(hosts.USER_VARIABLE, "ops")
    data = hosts.data(paths, record("lab-1"))
    assert (data["ssh_user"], data["_sudo"]) == ("ops", True)


def test_the_users_known_hosts_are_never_used(
    paths: LabPaths, monkeypatch: pytest.MonkeyPatch, record: MakeRecord
) -> None:
    monkeypatch.setattr(hosts.keys, "private_key", lambda *_: Path("/key"))
    data = hosts.data(paths, record("lab-1"))
    assert data["ssh_known_hosts_file"] == str(paths.state / "lab-1" / "known_hosts")
    assert data["ssh_strict_host_key_checking"] == "yes"
    words = hosts.keys.ssh_command(paths, record("lab-1"))
    assert f"UserKnownHostsFile={paths.state}/lab-1/known_hosts" in words
    assert words[:3] == ["ssh", "-F", "none"]


def test_a_key_that_cannot_be_read_is_said(paths: LabPaths, record: MakeRecord) -> None:
    with pytest.raises(FailedError, match="cannot be read"):
        hosts.data(paths, record("lab-1"))


def test_the_cache_is_where_it_is_asked_for() -> None:
    assert default_paths({"ROCMINFRA_LAB_CACHE": "/a"}).cache == Path("/a/rocminfra-lab")
    assert default_paths({"XDG_CACHE_HOME": "/b"}).cache == Path("/b/rocminfra-lab")
    assert default_paths({}).cache == Path("~/.cache/rocminfra-lab").expanduser()
