"""plain pyinfra on droplets: `pyinfra inventory/amd_cloud.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from droplet_cloud import GPU_SIZE, TOKEN, Fault
from droplet_world import HOST_KEY, World
from pyinfra.api.exceptions import InventoryError

from rocminfra.droplets import source, tags
from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.run import create_for_person
from rocminfra.inventory.hosts_file import InventoryHost


def environ(made: World, **more: str) -> dict[str, str]:
    return {
        "ROCMINFRA_DROPLET_TOKEN": TOKEN,
        "ROCMINFRA_DROPLET_ENDPOINT": made.url,
        "ROCMINFRA_DROPLET_STATE": str(made.folder.path),
        **more,
    }


@pytest.fixture(autouse=True)
def _its_time(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "Clock", lambda: made.time.clock)


def foreign(made: World, name: str, *more: str) -> None:
    """A droplet that another machine made."""
    made.stub.create(
        {"name": name, "size": GPU_SIZE, "region": "atl1", "tags": [*more]},
    )
    made.time.sleep(60)


def by_name(hosts: list[InventoryHost] | None) -> dict[str, dict[str, object]]:
    return {host.name: host.data for host in hosts or []}


def test_a_droplet_that_we_made_has_its_pinned_key(made: World, tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.touch()
    with Interrupts(made.said.append) as interrupts:
        cloud = made.cloud(interrupts)
        create_for_person(cloud, made.offer(cloud), str(key), keep_on_failure=False)
    data = by_name(source.from_cloud_and_file(environ(made), tmp_path))["mi300x-1"]
    assert data["ssh_hostname"] == "203.0.113.10"
    assert data["ssh_strict_host_key_checking"] == "yes"
    assert HOST_KEY in Path(str(data["ssh_known_hosts_file"])).read_text()
    assert data["ssh_key"] == str(key)
    assert data["storage"] == {"expected_size_gib": 5120.0}
    assert data["cost"] == {"usd_per_hour": 1.99}


def test_droplets_of_others_join_the_files_hosts(made: World, tmp_path: Path) -> None:
    foreign(made, "theirs", tags.OURS)
    foreign(made, "unrelated", "production")
    (tmp_path / "hosts.yaml").write_text(
        "defaults: {vllm: {port: 8001}}\n"
        "hosts:\n"
        "  rack-1: {ssh_hostname: 203.0.113.99}\n"
        "  theirs: {storage: {label: mine}}\n"
    )
    hosts = by_name(source.from_cloud_and_file(environ(made), tmp_path))
    assert sorted(hosts) == ["rack-1", "theirs"]
    assert hosts["theirs"]["vllm"] == {"port": 8001}
    assert hosts["theirs"]["storage"] == {"expected_size_gib": 5120.0, "label": "mine"}
    assert hosts["theirs"]["ssh_hostname"] == "203.0.113.10"
    assert "ssh_strict_host_key_checking" not in hosts["theirs"]


def test_another_tag(made: World, tmp_path: Path) -> None:
    foreign(made, "a", tags.OURS)
    foreign(made, "b", "fleet")
    hosts = source.from_cloud_and_file(environ(made, ROCMINFRA_DROPLET_TAG="fleet"), tmp_path)
    assert list(by_name(hosts)) == ["b"]


def test_two_of_one_name(made: World, tmp_path: Path) -> None:
    foreign(made, "a", tags.OURS)
    foreign(made, "a", tags.OURS)
    hosts = by_name(source.from_cloud_and_file(environ(made), tmp_path))
    assert sorted(hosts) == ["a", "a-500000002"]


def test_the_cloud_is_asked_once_in_a_while(made: World, tmp_path: Path) -> None:
    foreign(made, "a", tags.OURS)
    for _ in range(3):
        source.from_cloud_and_file(environ(made), tmp_path)
    asked = len(made.requests("GET"))
    made.time.sleep(source.CACHE_S + 1)
    source.from_cloud_and_file(environ(made), tmp_path)
    assert len(made.requests("GET")) == 2 * asked
    (kept,) = made.folder.path.glob("seen-*.json")
    kept.write_text("{")
    assert by_name(source.from_cloud_and_file(environ(made), tmp_path)).keys() == {"a"}


def test_one_that_is_being_made_is_left_out(made: World, tmp_path: Path) -> None:
    foreign(made, "a", tags.OURS)
    made.stub.create({"name": "new", "size": GPU_SIZE, "region": "atl1", "tags": [tags.OURS]})
    assert list(by_name(source.from_cloud_and_file(environ(made), tmp_path))) == ["a"]


def test_no_droplet_and_no_file_says_what_to_do(made: World, tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="next: rocminfra droplet list"):
        source.from_cloud_and_file(environ(made), tmp_path)


def test_without_a_token_only_the_file_is_read(made: World, tmp_path: Path) -> None:
    assert source.from_cloud_and_file({}, tmp_path) is None
    assert made.requests("GET") == []


def test_a_wrong_token_is_a_message(made: World, tmp_path: Path) -> None:
    made.stub.faults.append(Fault("unauthorized", "GET", "."))
    with pytest.raises(InventoryError) as caught:
        source.from_cloud_and_file(environ(made), tmp_path)
    assert "does not know this token" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_what_is_kept_holds_no_token(made: World, tmp_path: Path) -> None:
    foreign(made, "a", tags.OURS)
    source.from_cloud_and_file(environ(made), tmp_path)
    (kept,) = made.folder.path.glob("seen-*.json")
    assert json.loads(kept.read_text())["droplets"][0]["name"] == "a"
    assert kept.stat().st_mode & 0o077 == 0
