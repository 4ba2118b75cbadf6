"""Hosts files: settings of all hosts and of one, and problems with file, line and nearest key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocminfra.inventory.hosts_file import FILE, InventoryHost, hosts_from, read_hosts_file
from rocminfra.inventory.ssh_config import configured_user
from rocminfra.settings import load_settings
from rocminfra.settings.located_yaml import parse_yaml
from rocminfra.settings.problems import SettingsError


@pytest.fixture(autouse=True)
def _no_ssh_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def read(text: str, overrides: dict[str, Any] | None = None) -> dict[str, InventoryHost]:
    located = parse_yaml(text, "hosts.yaml", FILE)
    return {host.name: host for host in hosts_from(located, overrides or {})}


def refused(text: str, overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(text, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_the_smallest_file_is_a_host_with_root_and_the_reference_run() -> None:
    hosts = read("hosts:\n  a: {ssh_hostname: 203.0.113.10}\n")
    assert hosts["a"].data == {"ssh_hostname": "203.0.113.10", "ssh_user": "root"}
    assert load_settings(hosts["a"].data) == load_settings({})


def test_a_host_wins_over_the_defaults_key_by_key() -> None:
    hosts = read(
        "defaults:\n"
        "  ssh_user: ubuntu\n"
        "  vllm: {max_num_seqs: 32, port: 8001}\n"
        "hosts:\n"
        "  a:\n"
        "    vllm: {port: 8002}\n"
        "  b:\n"
    )
    first, second = (load_settings(hosts[name].data).vllm for name in "ab")
    assert (first.max_num_seqs, first.port) == (32, 8002)
    assert (second.max_num_seqs, second.port) == (32, 8001)
    assert hosts["a"].data["ssh_user"] == "ubuntu"


def test_one_hosts_settings_do_not_reach_another() -> None:
    hosts = read("defaults:\n  vllm: {port: 1}\nhosts:\n  a: {vllm: {max_num_seqs: 2}}\n  b:\n")
    assert "max_num_seqs" not in hosts["b"].data["vllm"]


@pytest.mark.parametrize(
    ("own", "sudo"),
    [
        ("{}", None),
        ("{ssh_user: root}", None),
        ("{ssh_user: ubuntu}", True),
        ("{ssh_user: ubuntu, _sudo: false}", False),
        ("{_sudo: true}", True),
    ],
)
def test_a_login_that_is_not_root_means_sudo_unless_said_otherwise(
    own: str, sudo: bool | None
) -> None:
    assert read(f"hosts:\n  a: {own}\n")["a"].data.get("_sudo") is sudo


def test_without_a_user_the_one_of_the_ssh_configuration_counts(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host mi300x\n  User ubuntu\nHost 203.0.113.9\n  User core\n")
    hosts = read(
        f"defaults:\n  ssh_config_file: {config}\n"
        "hosts:\n  mi300x:\n  other:\n  named: {ssh_hostname: 203.0.113.9}\n"
        "  said: {ssh_hostname: mi300x, ssh_user: root}\n"
    )
    users = {name: (host.data["ssh_user"], "_sudo" in host.data) for name, host in hosts.items()}
    assert users == {
        "mi300x": ("ubuntu", True),
        "other": ("root", False),
        "named": ("core", True),
        "said": ("root", False),
    }


@pytest.mark.parametrize("text", ["Host\n", "nonsense", "Include config\n", "Match exec\n", "\x00"])
def test_an_ssh_configuration_that_is_broken_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    assert configured_user("a", str(tmp_path / "config")) is None
    assert configured_user("a", str(tmp_path / "missing")) is None
    assert configured_user("a", str(tmp_path)) is None


def test_a_host_of_another_connector_logs_in_nowhere() -> None:
    assert read('hosts:\n  "@local":\n')["@local"].data == {}


def test_overrides_win_over_the_file() -> None:
    hosts = read("hosts:\n  a: {vllm: {port: 1}}\n", {"vllm.port": 2})
    assert load_settings(hosts["a"].data).vllm.port == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "hosts:\n  a:\n    vllm:\n      max_num_seq: 3\n",
            "hosts.yaml:4: vllm.max_num_seq: unknown key (did you mean vllm.max_num_seqs?)",
        ),
        (
            "hosts:\n  a:\n    vlm: {}\n",
            "hosts.yaml:3: vlm: unknown key (did you mean vllm?)",
        ),
        (
            "hosts:\n  a:\n    ssh_prot: 22\n",
            "hosts.yaml:3: hosts.a.ssh_prot: unknown key (did you mean ssh_port?)",
        ),
        (
            "hosts:\n  a:\n    ssh_port: '22'\n",
            'hosts.yaml:3: hosts.a.ssh_port: must be a whole number, not the text "22"',
        ),
        (
            "hosts:\n  a:\n    ssh_port: true\n",
            "hosts.yaml:3: hosts.a.ssh_port: must be a whole number, not the truth value true",
        ),
        (
            "hosts:\n  a:\n    ssh_port: 70000\n",
            "hosts.yaml:3: hosts.a.ssh_port: must be a port from 1 to 65535, not 70000",
        ),
        (
            "hosts:\n  a:\n    ssh_hostname: ''\n",
            "hosts.yaml:3: hosts.a.ssh_hostname: must not be empty",
        ),
        (
            "defaults:\n  ssh_hostname: 203.0.113.1\nhosts:\n  a:\n",
            "hosts.yaml:2: defaults.ssh_hostname: is one host's own; write it below the host",
        ),
        (
            "defaults:\n  vllm:\n    port: x\nhosts:\n  a:\n  b:\n",
            'hosts.yaml:3: vllm.port: should be a valid integer, not the text "x"',
        ),
        (
            "hosts:\n  a:\n    engine:\n      stop_timeout_s: 30\n",
            "hosts.yaml:4: engine: stop_timeout_s (30) must be longer than the engine's own"
            " shutdown_timeout_s (60)",
        ),
        (
            "hosts:\n  a:\n    docker:\n      data_root: /var/lib/docker\n",
            "hosts.yaml:4: docker.data_root (/var/lib/docker) must lie below storage.mount_point"
            " (/mnt/models)",
        ),
        (
            "hosts:\n  a:\n    wipe: [a:b:c]\n",
            "hosts.yaml:3: hosts.a.wipe: a wipe token is given for one run and kept in no file:"
            " --wipe TOKEN",
        ),
        (
            "hosts:\n  a:\n    ssh_password: hunter22\n",
            "hosts.yaml:3: hosts.a.ssh_password: secrets belong in no file; log in with a key"
            " (ssh_key) or an SSH agent",
        ),
        (
            "hosts:\n  a:\n    vllm.port: 1\n",
            "hosts.yaml:3: hosts.a.vllm.port: here sections are nested: 'vllm:' and below it"
            " 'port:'",
        ),
        (
            "host:\n  a:\n",
            "hosts.yaml:1: host: unknown key; a hosts file has 'defaults:' and 'hosts:'"
            " (did you mean hosts?)",
        ),
        ("hosts: [a, b]\n", "hosts.yaml:1: hosts: must be keys with values, not a list"),
        ("hosts:\n  a: 203.0.113.1\n", "hosts.yaml:2: hosts.a: must be keys with values, not a"),
        ("hosts:\n  a b:\n", "hosts.yaml:2: hosts.a b: a host's name has no spaces"),
        ("hosts:\n", "hosts.yaml:1: hosts: lists no hosts"),
        ("", "hosts.yaml: hosts: lists no hosts"),
        ("defaults:\n  vllm: 3\nhosts:\n  a:\n", "hosts.yaml:2: vllm: must be a section with keys"),
    ],
)
def test_a_mistake_is_refused_with_file_line_key_and_nearest_key(text: str, expected: str) -> None:
    found = refused(text)
    assert any(line.startswith(expected) for line in found), found


def test_a_mistake_in_the_defaults_is_said_once_for_all_hosts() -> None:
    assert len(refused("defaults:\n  vllm: {port: 0}\nhosts:\n  a:\n  b:\n  c:\n")) == 1


def test_a_rule_between_two_keys_is_placed_where_the_host_broke_it() -> None:
    text = (
        "defaults:\n  vllm:\n    max_num_seqs: 64\n"
        "hosts:\n  a:\n  b:\n    vllm:\n      max_num_batched_tokens: 10\n"
    )
    (problem,) = refused(text)
    assert problem.startswith("hosts.yaml:8: vllm: max_num_batched_tokens (10)")


def test_a_wrong_override_is_placed_in_the_environment() -> None:
    (problem,) = refused("hosts:\n  a:\n  b:\n", {"vllm.port": "x"})
    assert problem.startswith("environment: ROCMINFRA_VLLM__PORT: vllm.port: should be")


def test_all_problems_come_at_once() -> None:
    assert len(refused("hosts:\n  a: {vlm: {}, ssh_prot: 1}\n  b: {vllm: {port: 0}}\n")) == 3


def field_case(name: str) -> dict[str, Any]:
    (host,) = read_hosts_file(Path(__file__).parent / "field" / f"{name}.yaml")
    return host.data


def test_a_leading_zero_makes_no_octal_number() -> None:
    data = field_case("y1-octal")
    assert data["ssh_port"] == 22
    settings = load_settings(data)
    assert (settings.vllm.max_num_seqs, settings.vllm.port) == (64, 10000)


def test_no_without_quotes_is_the_word_where_a_text_is_wanted() -> None:
    assert field_case("y2-no")["ssh_strict_host_key_checking"] == "no"


def test_a_home_folder_and_the_working_directory_are_where_the_user_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    tilde = load_settings(field_case("y3-tilde"))
    assert tilde.model.source == f"{home}/models/Qwen2-VL-72B-Instruct"
    assert tilde.bench.results_dir == f"{home}/bench-results"
    relative = load_settings(field_case("y3b-relative"))
    assert relative.model.source == f"{tmp_path}/models/Qwen2-VL-72B-Instruct"


def test_paths_of_the_connection_follow_the_same_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").touch()
    (tmp_path / "config").write_text("Host a\n  User core\n")
    hosts = read(
        "hosts:\n  a: {ssh_key: ~/key, ssh_config_file: ./config, ssh_known_hosts_file: kh}\n"
    )
    assert hosts["a"].data == {
        "ssh_key": f"{tmp_path}/home/key",
        "ssh_config_file": f"{tmp_path}/config",
        "ssh_known_hosts_file": f"{tmp_path}/kh",
        "ssh_user": "core",
        "_sudo": True,
    }


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("ssh_key: ~/missing", "ssh_key: there is no file "),
        ("ssh_config_file: missing", "ssh_config_file: there is no file "),
        ("ssh_known_hosts_file: missing/kh", "ssh_known_hosts_file: there is no folder "),
        ("ssh_key: ~nobody-here/x", "there is no user nobody-here on this machine"),
        ("ssh_hostname: root@203.0.113.1", "the login is another key (ssh_user)"),
        ("ssh_hostname: 203.0.113.1:2222", "the port 2222 is another key"),
        ("ssh_hostname: 203.0.113.010", "without leading zeros"),
        ("ssh_hostname: 10.1", "must be four numbers"),
        ("ssh_file_transfer_protocol: ftp", 'must be sftp or scp, not "ftp"'),
        ("ssh_strict_host_key_checking: never", 'off or ask, not "never"'),
        ("ssh_port: 1:30", 'must be a whole number, not the text "1:30"'),
        ("ssh_port: 0x16", 'must be a whole number, not the text "0x16"'),
        ("ssh_connect_retries: on", 'must be a whole number, not the text "on"'),
    ],
)
def test_a_connection_is_judged_before_anything_connects(own: str, expected: str) -> None:
    (problem,) = refused(f"hosts:\n  a: {{{own}}}\n" if "{" not in own else own)
    assert expected in problem
    assert problem.startswith("hosts.yaml:2: hosts.a.ssh_")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("203.0.113.010", "four numbers from 0 to 255 without leading zeros"),
        ("300.1.1.1", "four numbers from 0 to 255"),
        ("10.1", "four numbers from 0 to 255"),
        ("2130706433", "four numbers from 0 to 255"),
        ("'0x7f000001'", "four numbers from 0 to 255"),
        ("-oProxyCommand=x", "neither an address nor a name in ssh's configuration"),
        ("'*'", "neither an address nor a name"),
        ("root@203.0.113.1", "the login is another key (ssh_user)"),
        ("a\u200bb", "neither an address nor a name"),
    ],
)
def test_a_name_that_is_the_address_is_one(name: str, words: str) -> None:
    (problem,) = refused(f"hosts:\n  {name}:\n")
    assert problem.startswith("hosts.yaml:2: hosts.")
    assert words in problem
    if "@" not in name and not name.startswith("-"):
        # With an address of its own it is a name only.
        assert read(f"hosts:\n  {name}: {{ssh_hostname: 203.0.113.1}}\n")


@pytest.mark.parametrize("user", ["a b", "root ", "-x", "\u201croot\u201d", "a:b", "a/b"])
def test_a_login_is_a_name(user: str) -> None:
    (problem,) = refused(f"hosts:\n  a: {{ssh_user: '{user}'}}\n")
    assert "hosts.yaml:2: hosts.a.ssh_user: must be a login name such as root" in problem


@pytest.mark.parametrize("user", ["ubuntu", "user@example.org", "DOM\\user", "j\u00f6rg", "svc$"])
def test_a_login_of_a_domain_is_one_too(user: str) -> None:
    assert read(f"hosts:\n  a: {{ssh_user: '{user}'}}\n")["a"].data["ssh_user"] == user
