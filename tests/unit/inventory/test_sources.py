"""Where hosts come from, and what an inventory says when there are none."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from pyinfra.api.exceptions import InventoryError

from rocminfra.inventory import sources
from rocminfra.inventory.hosts_file import InventoryHost
from rocminfra.inventory.sources import (
    completed,
    from_environment,
    from_hosts_file,
    pyinfra_hosts,
    refuse_empty_limit,
    through_connector,
)
from rocminfra.settings import SettingsError

HOSTS_YAML = "hosts:\n  a: {ssh_hostname: 203.0.113.10}\n"


@pytest.fixture(autouse=True)
def _no_ssh_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("listed", "name", "data"),
    [
        ("203.0.113.10", "203.0.113.10", {"ssh_hostname": "203.0.113.10", "ssh_user": "root"}),
        ("mi300x", "mi300x", {"ssh_hostname": "mi300x", "ssh_user": "root"}),
        (
            "ubuntu@mi300x:2222",
            "mi300x",
            {"ssh_hostname": "mi300x", "ssh_user": "ubuntu", "ssh_port": 2222, "_sudo": True},
        ),
        ("2001:db8::1", "2001:db8::1", {"ssh_hostname": "2001:db8::1", "ssh_user": "root"}),
        (
            "root@[2001:db8::1]:22",
            "2001:db8::1",
            {"ssh_hostname": "2001:db8::1", "ssh_user": "root", "ssh_port": 22},
        ),
        ("@local", "@local", {}),
    ],
)
def test_a_host_from_the_environment(listed: str, name: str, data: dict[str, object]) -> None:
    hosts = from_environment({"ROCMINFRA_HOSTS": listed}, Path())
    assert hosts == [InventoryHost(name, data)]


def test_several_hosts_each_once() -> None:
    hosts = from_environment({"ROCMINFRA_HOSTS": " a, b,,a "}, Path())
    assert [host.name for host in hosts or []] == ["a", "b"]


@pytest.mark.parametrize("listed", ["a b", "a@b@c", "a:99999", "a:port", "[::1", "root@"])
def test_what_is_no_address_is_refused(listed: str) -> None:
    with pytest.raises(SettingsError, match="ROCMINFRA_HOSTS"):
        from_environment({"ROCMINFRA_HOSTS": listed}, Path())


def test_settings_of_the_environment_reach_its_hosts() -> None:
    environ = {"ROCMINFRA_HOSTS": "a", "ROCMINFRA_VLLM__PORT": "8001"}
    (host,) = from_environment(environ, Path()) or []
    assert host.data["vllm.port"] == 8001


def test_a_wrong_value_in_the_environment_is_refused() -> None:
    environ = {"ROCMINFRA_HOSTS": "a", "ROCMINFRA_VLLM__PORT": "x"}
    with pytest.raises(
        SettingsError,
        match=r"environment: ROCMINFRA_VLLM__PORT: vllm\.port: should be a valid integer",
    ):
        from_environment(environ, Path())


def test_two_sources_named_at_once_are_refused() -> None:
    environ = {"ROCMINFRA_HOSTS": "a", "ROCMINFRA_HOSTS_FILE": "f"}
    with pytest.raises(SettingsError, match="unset one of them"):
        from_environment(environ, Path())


def test_nothing_said_is_no_answer(tmp_path: Path) -> None:
    assert from_environment({"ROCMINFRA_HOSTS": " "}, tmp_path) is None
    assert from_hosts_file({}, tmp_path) is None


def test_a_hosts_file_beside_the_inventory_and_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(HOSTS_YAML)
    other = tmp_path / "other.yaml"
    other.write_text("hosts:\n  b:\n")
    assert [host.name for host in from_hosts_file({}, tmp_path) or []] == ["a"]
    named = from_hosts_file({"ROCMINFRA_HOSTS_FILE": str(other)}, tmp_path)
    assert [host.name for host in named or []] == ["b"]


def test_a_named_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        from_hosts_file({"ROCMINFRA_HOSTS_FILE": str(tmp_path / "x.yaml")}, tmp_path)


def test_the_first_source_that_answers_counts(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(HOSTS_YAML)
    inventory = str(tmp_path / "amd_cloud.py")

    def cloud(_environ: object, _folder: Path) -> list[InventoryHost]:
        return [InventoryHost("from-the-cloud", {})]

    sources = (from_environment, from_hosts_file)
    assert pyinfra_hosts(sources, inventory, {})[0][0] == "a"
    assert pyinfra_hosts(sources, inventory, {"ROCMINFRA_HOSTS": "b"})[0][0] == "b"
    assert pyinfra_hosts((cloud, *sources), inventory, {})[0][0] == "from-the-cloud"


def test_no_hosts_at_all_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        pyinfra_hosts((from_environment, from_hosts_file), str(tmp_path / "amd_cloud.py"), {})
    message = str(caught.value)
    assert f"there is no {tmp_path}/hosts.yaml" in message
    assert f"next: cp {tmp_path}/hosts.example.yaml {tmp_path}/hosts.yaml" in message
    assert "export ROCMINFRA_HOSTS=203.0.113.10" in message


def test_a_bad_file_is_one_message_with_all_problems(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("hosts:\n  a: {vlm: {}}\n  b: {ssh_prot: 1}\n")
    with pytest.raises(InventoryError) as caught:
        pyinfra_hosts((from_hosts_file,), str(tmp_path / "amd_cloud.py"), {})
    assert f"{tmp_path}/hosts.yaml:2: vlm: unknown key (did you mean vllm?)" in str(caught.value)
    assert f"{tmp_path}/hosts.yaml:3: hosts.b.ssh_prot" in str(caught.value)


def test_hosts_of_another_origin_get_the_environments_settings(tmp_path: Path) -> None:
    environ = {"ROCMINFRA_VLLM__PORT": "8001", "ROCMINFRA_LAB_CACHE": "x"}
    hosts = [("lab-1", {"ssh_user": "ops"})]
    inventory = str(tmp_path / "lab.py")
    assert completed(hosts, inventory, environ) == [
        ("lab-1", {"ssh_user": "ops", "vllm.port": 8001})
    ]
    with pytest.raises(InventoryError, match="did you mean ROCMINFRA_VLLM__PORT"):
        completed(hosts, inventory, {"ROCMINFRA_VLLM__PROT": "1"})
    with pytest.raises(
        InventoryError, match=r"environment: ROCMINFRA_VLLM__PORT: vllm\.port: should"
    ):
        completed(hosts, inventory, {"ROCMINFRA_VLLM__PORT": "x"})
    moved = {"storage": {"mount_point": "/data"}, "huggingface": {"home": "/data/hf"}}
    with pytest.raises(InventoryError, match=r"lab-1: docker\.data_root"):
        completed([("lab-1", moved)], inventory, environ)


def _limited(patterns: tuple[str, ...], inventory: Path) -> None:
    context = click.Context(click.Command("pyinfra"))
    context.params["limit"] = patterns
    with context:
        refuse_empty_limit(["lab-1", "lab-2"], str(inventory))


@pytest.mark.parametrize("pattern", ["lab-1", "lab-*", "hosts", "amd_cloud", "eu", "@local"])
def test_a_limit_that_may_match_passes(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "eu.py").touch()
    _limited((pattern,), tmp_path / "amd_cloud.py")


def test_a_limit_that_matches_no_host_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        InventoryError,
        match=r"--limit lab-3 matches no host \(did you mean lab-2\?\) \[RI-315\]\n    hosts: lab",
    ):
        _limited(("lab-1", "lab-3"), tmp_path / "amd_cloud.py")


def test_without_a_command_line_there_is_no_limit(tmp_path: Path) -> None:
    refuse_empty_limit(["a"], str(tmp_path / "amd_cloud.py"))


@pytest.mark.parametrize(
    ("environ", "data", "name"),
    [
        ({}, {}, "@rocminfra/a"),
        ({"ROCMINFRA_CONNECTOR": "rocminfra"}, {}, "@rocminfra/a"),
        ({"ROCMINFRA_CONNECTOR": "ssh"}, {}, "a"),
        ({}, {"rocminfra_connector": "ssh"}, "a"),
        ({"ROCMINFRA_CONNECTOR": "ssh"}, {"rocminfra_connector": "rocminfra"}, "@rocminfra/a"),
    ],
)
def test_hosts_are_reached_through_our_connector_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], data: dict[str, str], name: str
) -> None:
    _installed(monkeypatch, "rocminfra")
    assert through_connector([("a", data)], environ) == [(name, data)]


def test_a_host_that_has_chosen_its_connector_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "rocminfra")
    assert through_connector([("@local", {})], {}) == [("@local", {})]


def test_without_an_installation_there_is_pyinfras_own_connector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _installed(monkeypatch, "ssh")
    assert through_connector([("a", {})], {}) == [("a", {})]


def test_an_unknown_connector_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "rocminfra")
    with pytest.raises(
        InventoryError, match=r"there is no connector 'winrm' \[RI-314\]\n    next: ROCMINFRA_"
    ):
        through_connector([("a", {})], {"ROCMINFRA_CONNECTOR": "winrm"})


def _installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    entries = [EntryPoint(name, "module:Class", "pyinfra.connectors") for name in names]
    monkeypatch.setattr(sources, "entry_points", lambda group: entries)


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ("root@a, a", "names a twice, each time in another way"),
        ("a:22,a:2222", "names a twice"),
        ("-x@a", "must be a login name such as root, not '-x'"),
        ("a;b", "must be a name or an address"),
    ],
)
def test_hosts_of_the_environment_that_cannot_be_meant(listed: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        from_environment({"ROCMINFRA_HOSTS": listed}, Path())
