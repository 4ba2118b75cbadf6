"""A host's own Docker configuration, judged as a whole before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failing import next_of, said

from rocminfra.failure import ExitCode, FailedError
from rocminfra.planning.docker.configuration import Keep, Refuse, Write, decide
from rocminfra.planning.docker.observation import DockerSeen

ROOT = "/mnt/models/docker"
CASES = Path(__file__).parents[3] / "cases/docker"
OURS = {
    "data-root": ROOT,
    "log-driver": "local",
    "features": {"containerd-snapshotter": False},
}


def seen(file: Any = None, **what: Any) -> DockerSeen:
    """A Docker as Debian's package makes it."""
    text = file if isinstance(file, str) or file is None else json.dumps(file)
    there: dict[str, Any] = {
        "program": "/usr/bin/docker",
        "engine": "/usr/sbin/dockerd",
        "load_state": "loaded",
        "active_state": "active",
        "file_state": "enabled",
        "command": "/usr/sbin/dockerd",
        "flags": {"hosts": (), "containerd": ()},
    }
    return DockerSeen(file=text, **{**there, **what})


def written(docker: DockerSeen, **how: Any) -> dict[str, Any]:
    decision = decide(docker, ROOT, **how)
    assert isinstance(decision, Write), decision
    return dict(json.loads(decision.text))


def refused(docker: DockerSeen, **how: Any) -> str:
    decision = decide(docker, ROOT, **how)
    assert isinstance(decision, Refuse), decision
    assert decision.failure.kind in (ExitCode.REFUSED, ExitCode.UNFIT)
    assert next_of(decision.failure)
    return said(FailedError.of(decision.failure))


@pytest.mark.parametrize("docker", [DockerSeen(), seen(), seen(""), seen(" \n"), seen("{}")])
def test_without_a_configuration_it_is_ours(docker: DockerSeen) -> None:
    assert written(docker) == OURS


def test_what_was_written_is_kept() -> None:
    assert isinstance(decide(seen(OURS), ROOT), Keep)
    assert isinstance(decide(seen({**OURS, "debug": True}), ROOT), Keep)


@pytest.mark.parametrize(
    "logs",
    [
        json.loads((CASES / "logopts-daemon.json").read_text()),
        {"log-opts": {"max-size": "10m"}},  # json-file is Docker's default
        {"log-driver": "journald", "log-opts": {"tag": "{{.Name}}"}},
        {"log-driver": "syslog"},
    ],
)
def test_the_hosts_own_log_driver_and_its_options_stay_together(logs: dict[str, Any]) -> None:
    once = written(seen(logs))
    assert once == {
        **logs,
        "data-root": ROOT,
        "features": {"containerd-snapshotter": False},
    }
    assert isinstance(decide(seen(once), ROOT), Keep)


@pytest.mark.parametrize("flag", ["log-driver", "log-opts"])
def test_a_log_driver_that_the_unit_gives_is_not_given_again(flag: str) -> None:
    assert "log-driver" not in written(seen(flags={flag: ("syslog",)}))


@pytest.mark.parametrize(
    "path", [f"{ROOT}/", "/mnt/models/../models/docker", "/mnt//models/docker", "/data/docker"]
)
def test_a_data_root_that_means_the_same_is_left_as_it_is_written(path: str) -> None:
    real = {ROOT: "/srv/disk/docker", "/data/docker": "/srv/disk/docker"}
    file = {**OURS, "data-root": path}
    assert isinstance(decide(seen(file, real=real), ROOT), Keep)
    # As a flag it must not be in the file as well.
    flags = {"data-root": (path,)}
    assert "data-root" not in written(seen({"debug": True}, flags=flags, real=real))


def test_a_link_or_a_bind_mount_in_place_of_the_usual_folder_is_that_folder() -> None:
    usual = "/var/lib/docker"
    linked = seen({"debug": True}, real={usual: ROOT})
    bound = seen({"debug": True}, inodes={usual: "64:7", ROOT: "64:7"})
    other = seen({"debug": True}, inodes={usual: "64:7", ROOT: "64:8"})
    for docker in (linked, bound):
        assert docker.is_same_path(usual, ROOT)
        assert isinstance(decide(docker, ROOT, serves=True), Keep)
        assert "data-root" not in written(docker), "nothing has to be said of it"
    assert not other.is_same_path(usual, ROOT)
    assert written(other)["data-root"] == ROOT


def test_a_data_root_without_a_value_is_the_usual_folder() -> None:
    assert written(seen({"data-root": ""})) == written(seen({"data-root": None})) == OURS


@pytest.mark.parametrize(
    "problem", ["is a link to /srv/dotfiles/daemon.json", "is not a file", "is immutable"]
)
def test_a_file_that_is_none_to_replace_is_refused_only_when_it_has_to_change(problem: str) -> None:
    assert isinstance(decide(seen(OURS, file_problem=problem), ROOT), Keep)
    assert f"it {problem}" in refused(seen({"debug": True}, file_problem=problem))


def test_the_old_name_of_data_root_makes_room_for_the_new_one() -> None:
    assert written(seen({"graph": "/var/lib/docker"})) == OURS
    # Docker 23 and later do not start with the old one, whatever it says, and none with both.
    renamed = decide(seen({"graph": f"{ROOT}/"}, left=("container x",)), ROOT)
    assert isinstance(renamed, Write)
    assert (json.loads(renamed.text), renamed.moves) == (OURS, False)
    assert written(seen({"graph": "/srv/docker", "data-root": ROOT})) == OURS
    assert isinstance(decide(seen({"graph": ROOT}), ROOT, serves=True), Keep), "this one does"


def test_a_docker_that_serves_there_is_not_restarted_for_what_can_stay() -> None:
    decision = decide(seen({"data-root": ROOT, "debug": True}), ROOT, serves=True)
    assert isinstance(decision, Keep)
    file = {"data-root": ROOT, "features": {"containerd-snapshotter": True}}
    assert written(seen(file), serves=True)["features"] == {"containerd-snapshotter": False}


def test_another_image_store_may_hide_containers() -> None:
    hides = decide(seen({"features": {"containerd-snapshotter": True}}), ROOT)
    keeps = decide(seen({"features": {"containerd-snapshotter": False}}), ROOT)
    assert isinstance(hides, Write)
    assert isinstance(keeps, Write)
    assert (hides.hides, keeps.hides) == (True, False)


def test_a_flag_may_turn_containerds_store_off() -> None:
    docker = seen({}, flags={"features": ("containerd-snapshotter=false", "cdi")})
    assert written(docker) == {"data-root": ROOT, "log-driver": "local"}


def test_other_features_stay() -> None:
    features = written(seen({"features": {"buildkit": True}}))["features"]
    assert features == {"buildkit": True, "containerd-snapshotter": False}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{",
            "[]",
            "null",
            '"x"',
            "{} {}",
            '{"debug": true,}',
            '{"debug": true // ours\n}',
            "{}\0",
        ),
        *('{"mtu": NaN}', '{"mtu": -Infinity}', "[" * 100_000),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(text: str) -> None:
    assert "is not a JSON object" in refused(seen(text))


@pytest.mark.parametrize(
    ("file", "flags", "words"),
    [
        ({}, {"data-root": ("/srv/docker",)}, "/srv/docker with a flag"),
        ({"data-root": ROOT}, {"data-root": (ROOT,)}, "both a flag of docker.service"),
        ({"hosts": ["unix:///run/docker.sock"]}, {"hosts": ()}, ": hosts"),
        ({"log-opts": {"tag": "x"}}, {"log-opts": ()}, ": log-opts"),
        ({}, {"config-file": ("/etc/docker/other.json",)}, "reads /etc/docker/other.json instead"),
        ([], {"config-file": ("/srv/d.json",)}, "/srv/d.json is not a JSON object"),
        ({"userns-remap": "x"}, {"config-file": ("/srv/d.json",)}, "userns-remap from /srv/d.json"),
        ({"userns-remap": "default"}, {}, "userns-remap"),
        ({"hosts": ["tcp://127.0.0.1:2375"]}, {}, "listens at tcp://127.0.0.1:2375 alone"),
        ({}, {"hosts": ("tcp://0.0.0.0:2376", "unix:///srv/d.sock")}, "unix:///srv/d.sock alone"),
        ({}, {"userns-remap": ("default",)}, "userns-remap"),
        ({"storage-driver": "zfs"}, {}, "needs zfs"),
        ({}, {"storage-driver": ("btrfs",)}, "needs btrfs"),
        ({"storage-driver": "overlayfs"}, {}, "containerd image store"),
        ({"storage-driver": "devicemapper"}, {}, "needs a thin pool"),
        ({"log-driver": "json-file", "log-opts": {"max-sizes": "1m"}}, {}, ": max-sizes"),
        ({"log-opts": {"gelf-address": "udp://x:1"}}, {}, "json-file does not have: gelf-address"),
        ({"log-opts": {"labels": "x"}}, {"log-driver": ("local",)}, "local does not have: labels"),
        ({"default-runtime": "nvidia"}, {}, "no entry of runtimes"),
        ({"default-runtime": "runsc", "runtimes": {"runsc": {"path": "/x"}}}, {}, "in a sandbox"),
        ({}, {"default-runtime": ("io.containerd.kata.v2",)}, "in a sandbox"),
        ({"default-runtime": "io.containerd.kata-qemu.v2"}, {}, "in a sandbox"),
        ({"default-runtime": "io.containerd.runsc.v1"}, {}, "in a sandbox"),
        (
            {"default-runtime": "x", "runtimes": {"x": {"path": "/opt/bin/runsc-kvm"}}},
            {},
            "in a sandbox",
        ),
        (
            {
                "default-runtime": "x",
                "runtimes": {"x": {"runtimeType": "/opt/bin/containerd-shim-kata-v2"}},
            },
            {},
            "in a sandbox",
        ),
        ({"storage-driver": "aufs"}, {}, "storage driver aufs, which it does not have"),
        ({}, {"storage-driver": ("Overlay2",)}, "Overlay2, which it does not have"),
        ({"log-opts": {"max-file": 3}}, {}, "no texts by their names"),
        ({"log-driver": "gelf", "log-opts": ["max-size=1m"]}, {}, "no texts by their names"),
        ({"log-driver": "journald", "log-opts": {"max-size": "1m"}}, {}, "have: max-size"),
        ({"log-opts": {"max-file": "3"}}, {"log-driver": ("syslog",)}, "syslog does not have"),
        ({}, {"features": ("containerd-snapshotter",)}, "in containerd's store with a flag"),
        ({}, {"features": ("cdi=true", "containerd-snapshotter=true")}, "on the root disk"),
        ({"storage-opts": ["zfs.fsname=tank/docker"]}, {}, "driver than overlay2, which it uses"),
        ({}, {"storage-opts": ("dm.basesize=20G",)}, ": dm.basesize"),
        ({"log-opts": {"cache-colour": "x"}}, {}, "json-file does not have: cache-colour"),
    ],
)
def test_what_docker_would_not_start_with_is_refused(
    file: Any, flags: dict[str, tuple[str, ...]], words: str
) -> None:
    assert words in refused(seen(file, flags=flags))


ELSEWHERE = {"config-file": ("/srv/docker.json",), "hosts": ()}


@pytest.mark.parametrize("serves", [False, True])
def test_a_file_elsewhere_that_says_all_is_left_alone(serves: bool) -> None:
    file = {**OURS, "live-restore": True, "log-driver": "journald"}
    assert isinstance(decide(seen(file, flags=ELSEWHERE), ROOT, serves=serves), Keep)


def test_a_docker_that_serves_by_a_file_elsewhere_is_left_alone() -> None:
    docker = seen({"data-root": f"{ROOT}/"}, flags=ELSEWHERE)
    assert isinstance(decide(docker, ROOT, serves=True), Keep)
    bound = seen({}, flags=ELSEWHERE, inodes={ROOT: "8:1", "/var/lib/docker": "8:1"})
    assert isinstance(decide(bound, ROOT, serves=True), Keep)
    flags = {**ELSEWHERE, "data-root": (ROOT,)}
    assert isinstance(decide(seen({}, flags=flags), ROOT, serves=True), Keep)
    # A link in its place does not matter: nothing is written.
    linked = seen(OURS, flags=ELSEWHERE, file_problem="is a link to /nix/store/x")
    assert isinstance(decide(linked, ROOT, serves=True), Keep)


def test_a_file_elsewhere_that_does_not_do_is_refused_with_what_to_write() -> None:
    text = refused(seen({"graph": "/srv/d", "debug": True}, flags=ELSEWHERE))
    assert "reads /srv/docker.json instead of /etc/docker/daemon.json (--config-file)" in text
    assert "has to change: data-root, features, graph, log-driver" in text
    assert f'write {{"data-root": "{ROOT}", "features": {{"containerd-snapshotter": false}}' in text
    assert "into /srv/docker.json, without graph, and run systemctl restart docker.service" in text
    # It serves with its data there, and would not after the next start.
    changed = refused(seen({"data-root": "/srv/d"}, flags=ELSEWHERE), serves=True)
    assert f'write {{"data-root": "{ROOT}"}} into' in changed


def test_the_usual_file_by_another_name_is_ours_to_write() -> None:
    flags = {"config-file": ("/etc/docker/../docker/daemon.json",)}
    assert written(seen({"debug": True}, flags=flags)) == {**OURS, "debug": True}
    real = {"/srv/d.json": "/srv/d.json", "/etc/docker/daemon.json": "/srv/d.json"}
    flags = {"config-file": ("/srv/d.json",)}
    assert written(seen({}, flags=flags, real=real)) == OURS


@pytest.mark.parametrize(
    "file",
    [
        {"log-opts": {"max-size": "1m", "tag": "x", "mode": "non-blocking", "env-regex": "^A"}},
        {"log-driver": "journald", "log-opts": {"tag": "x", "mode": "non-blocking"}},
        {"log-driver": "gelf", "log-opts": {"whatever": "x"}},
        {"storage-driver": "vendor/plugin:1"},
        {"default-runtime": "runc"},
        {"default-runtime": "amd", "runtimes": {"amd": {"path": "/usr/bin/amd-container-runtime"}}},
        {"default-runtime": "io.containerd.runc.v2", "exec-opts": ["native.cgroupdriver=systemd"]},
        {"storage-opts": ["overlay2.override_kernel_check=true"]},
        {"live-restore": True, "insecure-registries": ["x:5000"], "mtu": 1450, "iptables": False},
        {"proxies": {"http-proxy": "http://proxy:3128"}, "registry-mirrors": ["https://m"]},
        {"log-opts": {"cache-disabled": "true", "labels-regex": "^a", "compress": "true"}},
        {"log-driver": "local", "log-opts": {"cache-max-size": "1m", "cache-max-file": "2"}},
        {"log-driver": "local", "log-opts": {"mode": "non-blocking", "max-buffer-size": "4m"}},
        {"log-driver": "fluentd", "log-opts": {"fluentd-async": "true", "cache-compress": "true"}},
        {"log-driver": "none", "log-opts": {"mode": "blocking"}},
        {"log-driver": "vendor/plugin:1", "log-opts": {"of-a-plugin": "x"}},
        {"builder": {"gc": {"enabled": True}}, "default-address-pools": [{"base": "10.9.0.0/16"}]},
        {"default-runtime": "a", "runtimes": {"a": {"path": "/home/kata/bin/container-runtime"}}},
        {"default-runtime": "b", "runtimes": {"b": {"path": "/opt/runsc/crun"}}},
        {"default-runtime": "katana", "runtimes": {"katana": {"runtimeType": "katana.v1"}}},
        {"storage-driver": "vfs", "storage-opts": ["size=10G"]},
        {"a-key-of-docker-31": {"deep": [1]}, "cluster-store": "consul://x", "raw-logs": True},
    ],
)
def test_what_docker_starts_with_stays(file: dict[str, Any]) -> None:
    once = written(seen(file))
    assert file.items() <= once.items()
    assert isinstance(decide(seen(once), ROOT), Keep)


# What Docker itself has started with; none of it is known to us, or is thought to be wrong.
STARTED_WITH: list[dict[str, Any]] = [
    {"log-driver": "local", "log-opts": {"labels": "x", "tag": "y"}},  # since Docker 29
    {"log-opts": {"of-a-later-docker": "x"}},
    {"default-runtime": "of-the-daemon-itself"},
]
STORES: list[dict[str, Any]] = [
    {"storage-driver": "btrfs"},
    {"storage-driver": "zfs", "storage-opts": ["zfs.fsname=tank/docker"]},
    {"storage-driver": "vfs"},
    {"storage-opts": ["overlay2.size=20G"]},
    {"storage-driver": "overlayfs", "features": {"containerd-snapshotter": False}},
]


@pytest.mark.parametrize("file", [*STARTED_WITH, *STORES])
def test_what_a_docker_has_shown_to_run_with_there_is_not_judged(file: dict[str, Any]) -> None:
    there = {**file, "data-root": ROOT}
    docker = seen(there, is_proven=True, has_quota=False)
    assert isinstance(decide(docker, ROOT, serves=True), Keep)
    by_flag = seen(file, is_proven=True, has_quota=False, flags={"data-root": (ROOT,)})
    assert isinstance(decide(by_flag, ROOT, serves=True), Keep)


@pytest.mark.parametrize("file", STARTED_WITH)
def test_it_is_not_judged_either_where_only_the_data_moves(file: dict[str, Any]) -> None:
    once = written(seen(file, is_proven=True))
    assert file.items() <= once.items()
    assert once["data-root"] == ROOT
    assert refused(seen(file)), "the file was changed since, or no Docker runs"


@pytest.mark.parametrize("file", [store for store in STORES if store != {"storage-driver": "vfs"}])
def test_what_depends_on_the_disk_is_judged_where_the_data_moves(file: dict[str, Any]) -> None:
    assert refused(seen(file, is_proven=True, has_quota=False))
    assert refused(seen({**file, "data-root": ROOT}, has_quota=False), serves=True)


def test_flags_that_docker_has_taken_beside_the_file_are_no_conflict() -> None:
    """As with a key that a later Docker takes from both."""
    file = {"data-root": ROOT, "labels": ["a"]}
    flags = {"labels": ("b",)}
    assert isinstance(decide(seen(file, flags=flags, is_proven=True), ROOT, serves=True), Keep)
    assert "labels" in refused(seen(file, flags=flags), serves=True)


@pytest.mark.parametrize(
    "file",
    [
        {"userns-remap": "default"},
        {"default-runtime": "runsc", "runtimes": {"runsc": {"path": "/usr/bin/runsc"}}},
    ],
)
def test_what_runs_and_cannot_run_an_engine_is_refused_all_the_same(file: dict[str, Any]) -> None:
    assert refused(seen({**file, "data-root": ROOT}, is_proven=True), serves=True)


def test_a_runtime_whose_program_is_gone_runs_no_engine() -> None:
    program = "/usr/bin/nvidia-container-runtime"
    file = {"default-runtime": "nvidia", "runtimes": {"nvidia": {"path": program}}}
    assert written(seen(file))["default-runtime"] == "nvidia"
    assert f"run by {program} here" in refused(seen(file, missing=(program,)))
    unused = {"runtimes": {"nvidia": {"path": program}}}
    assert written(seen(unused, missing=(program,)))["runtimes"] == unused["runtimes"]


def test_a_size_limit_of_containers_needs_project_quotas() -> None:
    options = {"storage-opts": ["overlay2.size=20G"]}
    assert "needs project quotas" in refused(seen(options, has_quota=False))
    flags = {"storage-opts": ("overlay2.size=20G",)}
    assert "needs project quotas" in refused(seen({}, flags=flags, has_quota=False))
    for quota in (True, None):  # not mounted yet: the start will tell
        assert written(seen(options, has_quota=quota))["storage-opts"] == ["overlay2.size=20G"]


@pytest.mark.parametrize("driver", ["overlay2", "fuse-overlayfs", "vfs"])
def test_a_storage_driver_that_works_on_xfs_stays(driver: str) -> None:
    assert written(seen({"storage-driver": driver}))["storage-driver"] == driver


@pytest.mark.parametrize(
    "hosts", [("fd://",), ("tcp://0.0.0.0:2375", "unix:///var/run/docker.sock"), ("unix://",), ()]
)
def test_a_docker_that_listens_at_its_own_socket_may_listen_elsewhere_too(
    hosts: tuple[str, ...],
) -> None:
    by_file = seen({"hosts": list(hosts)}, flags={})
    assert written(by_file) == {**OURS, "hosts": list(hosts)}
    assert written(seen({}, flags={"hosts": hosts})) == OURS
