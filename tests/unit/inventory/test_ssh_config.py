"""An ssh configuration means to us what it means to ssh."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pyinfra.connectors.sshuserclient.config import SSHConfig

from rocminfra.inventory.hosts_file import hosts_from
from rocminfra.inventory.ssh_config import NotAcceptedError, original_file, plain_file
from rocminfra.settings import SettingsError
from rocminfra.settings.located_yaml import parse_yaml

FIELD = Path(__file__).parent / "field"
COMPARED = ("hostname", "user", "port", "proxyjump", "proxycommand", "identityfile")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").touch()
    return tmp_path / "config"


def by_ssh(file: Path, host: str) -> dict[str, str]:
    command = ["ssh", "-G", "-F", str(file), host]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    return {key: said[key] for key in COMPARED if key in said and said[key] != "none"}


def by_pyinfra(file: str, host: str) -> dict[str, str]:
    config = SSHConfig()
    with Path(file).open(encoding="utf-8") as opened:
        config.parse(opened)  # type: ignore[no-untyped-call]
    found = config.lookup(host)
    said = {key: found[key] for key in COMPARED if key in found}
    if "identityfile" in said:
        said["identityfile"] = said["identityfile"][-1]
    return said


CONFIGURATIONS = {
    "ssh/none-only.conf": (FIELD / "none-only.conf").read_text(),
    "ssh/match.conf": (FIELD / "match.conf").read_text(),
    "an exec that fails": (FIELD / "match.conf").read_text().replace('"true"', '"false"'),
    "tokens in an exec": (
        'Match originalhost hunt-x exec "test %n = hunt-x"\n  HostName 10.83.4.2\n'
    ),
    "final and not": "Match final host hunt-x\n  User late\nMatch !host other\n  Port 2222\n",
    "an included file": "Include ssh.d/*.conf\n",
    "none for one, a jump for all": (
        "Host hunt-x\n  ProxyJump none\n  User root\nHost *\n  ProxyJump bastion\n"
    ),
    "a jump behind a jump": (
        "Host hunt-x\n  ProxyJump me@middle:2200\n  HostName %h.example\n"
        "Host middle\n  ProxyJump outer\n  HostName 203.0.113.7\n"
        "Host outer\n  HostName 203.0.113.8\n  User gate\n"
    ),
    "a command": "Host hunt-x\n  ProxyCommand nc -X 5 %h %p\n",
    "a command switched off": "Host hunt-x\n  ProxyCommand none\nHost *\n  ProxyCommand nc %h %p\n",
    "an equals sign and quotes": (
        'Host=hunt-x\n  HostName="10.83.4.2"\n  Port=2200\n  ProxyJump=none\n'
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_is_what_ssh_makes_of_it(config: Path, name: str) -> None:
    text = CONFIGURATIONS[name].replace("LAB_KEY", str(config.parent / "key"))
    config.write_text(text)
    (config.parent / "ssh.d").mkdir()
    (config.parent / "ssh.d" / "a.conf").write_text("Match host hunt-*\n  HostName 10.83.4.9\n")
    if "Include" in text:
        config.write_text(f"Include {config.parent}/ssh.d/*.conf\n")
    plain = plain_file("hunt-x", str(config))
    assert plain is not None
    expected, found = by_ssh(config, "hunt-x"), by_pyinfra(plain, "hunt-x")
    for key in ("hostname", "port", "proxyjump", "proxycommand"):
        if key in expected and (key, expected[key]) != ("port", "22"):
            # Of a command's tokens ssh -G shows the letters.
            tokens = expected[key].replace("%h", "hunt-x").replace("%p", "22")
            assert str(found[key]) == tokens
        elif key != "port":
            assert key not in found
    if "User" in text:
        assert found.get("user") in (expected["user"], None)
    if str(config.parent / "key") in expected["identityfile"]:
        assert found["identityfile"] == expected["identityfile"]
    # ssh reads the plain file as it read the other.
    assert (
        by_ssh(Path(plain), "hunt-x").items()
        >= {
            key: value
            for key, value in expected.items()
            if key in ("hostname", "port", "proxyjump")
        }.items()
    )
    assert original_file(plain) == str(config)


def test_the_hosts_on_the_way_are_described_as_well(config: Path) -> None:
    config.write_text(CONFIGURATIONS["a jump behind a jump"])
    plain = plain_file("hunt-x", str(config))
    assert plain is not None
    assert by_pyinfra(plain, "middle")["hostname"] == "203.0.113.7"
    assert by_pyinfra(plain, "outer")["user"] == "gate"


def test_a_configuration_that_pyinfra_reads_rightly_is_left_alone(config: Path) -> None:
    config.write_text("Host hunt-x\n  HostName 10.83.4.2\n  ProxyJump bastion\n")
    assert plain_file("hunt-x", str(config)) is None
    assert plain_file("hunt-x", str(config.parent / "missing")) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Match exec\n", "exec"),
        ("Match host hunt-x\n  NoSuchOption yes\n", "nosuchoption"),
        ("Include none\nHost\n", "host"),
    ],
)
def test_what_ssh_does_not_accept_is_refused_before_connecting(
    config: Path, text: str, words: str
) -> None:
    config.write_text(text)
    with pytest.raises(NotAcceptedError) as caught:
        plain_file("hunt-x", str(config))
    assert words in str(caught.value).lower()
    located = parse_yaml(f"hosts:\n  hunt-x:\n    ssh_config_file: {config}\n", "hosts.yaml")
    with pytest.raises(SettingsError, match=r"hosts.yaml:3: ssh_config_file: ssh does not accept"):
        hosts_from(located, {})


def test_the_inventory_hands_the_plain_file_to_pyinfra(config: Path) -> None:
    config.write_text("Match host hunt-x\n  HostName 10.83.4.2\n  User core\n")
    located = parse_yaml(f"hosts:\n  hunt-x:\n    ssh_config_file: {config}\n", "hosts.yaml")
    (host,) = hosts_from(located, {})
    assert host.data["ssh_user"] == "core"
    assert by_pyinfra(host.data["ssh_config_file"], "hunt-x")["hostname"] == "10.83.4.2"
