"""Parsers of facts, on output as the tools print it."""

from __future__ import annotations

import pytest

from rocminfra.facts.docker import DockerContainer, DockerImage
from rocminfra.facts.engine import EngineReadiness, EngineStatus
from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes, group_ids
from rocminfra.facts.model_folder import CopiedFile, ModelFolder
from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.paths import PathStates
from rocminfra.facts.system import GroupExists, KernelSetting, ManagerEnvironment, UserGroups
from rocminfra.facts.systemd_unit import SystemdUnit, Unit


def test_gpu_nodes() -> None:
    nodes = GpuNodes().process(
        ["/dev/kfd|992|render|660", "/dev/dri/card0|44|video|660", "/dev/dri/renderD128|0|root|600"]
    )
    assert nodes[0] == GpuNode("/dev/kfd", 992, "render", 0o660)
    assert group_ids(nodes) == (44, 992)


def test_engine_status() -> None:
    text = '{"config": "abc", "container": "c1", "log": ["x"], "reason": "r", "state": "loading"}'
    assert EngineReadiness().process([text]) == EngineStatus("loading", "r", "abc", "c1", ("x",))
    assert EngineReadiness.default().state == "dead"


def test_systemd_unit() -> None:
    output = [
        "LoadState=loaded",
        "ActiveState=active",
        "UnitFileState=enabled",
        "NeedDaemonReload=yes",
        "InvocationID=0a",
    ]
    assert SystemdUnit().process(output) == Unit("loaded", "active", True, True, "0a")


def test_only_fully_installed_packages_count() -> None:
    output = ["docker.io|install ok installed", "xfsprogs|deinstall ok config-files"]
    assert InstalledPackages().process(output) == {"docker.io"}


def test_model_folder_with_a_damaged_manifest_line() -> None:
    output = ["2 config.json", "7 sub/my model.safetensors", "--- manifest ---"]
    output += ["aa 2 5 config.json", "bb x 5 damaged", "cut"]
    folder = ModelFolder().process(output)
    assert folder.sizes == (("config.json", 2), ("sub/my model.safetensors", 7))
    assert folder.copied == (CopiedFile("config.json", 2, 5, "aa"),)


@pytest.mark.parametrize("path", ["../../root/precious", "/root/precious", "a/../../b", "."])
def test_a_manifest_line_that_leads_out_of_the_folder_is_damage(path: str) -> None:
    # The manifest is a file on the scratch disk: whoever writes it must not choose what is removed.
    assert ModelFolder().process(["--- manifest ---", f"{'0' * 64} 5 1 {path}"]).copied == ()


def test_manifest_lines_survive_a_round_trip() -> None:
    file = CopiedFile("sub/my model.bin", 7, 123, "ab")
    assert ModelFolder().process(["--- manifest ---", file.line()]).copied == (file,)


def test_small_facts() -> None:
    assert KernelSetting().process(["0"]) == "0"
    assert KernelSetting().process([]) is None
    assert ManagerEnvironment().process(["A=1=2", "noise"]) == {"A": "1=2"}
    assert UserGroups().process(["ann ann video"]) == {"ann": frozenset({"ann", "video"})}
    assert GroupExists().process(["yes"]) is True


@pytest.mark.parametrize(
    ("command", "quoted"),
    [
        (PathStates().command(["/etc/a b"]), "'/etc/a b'"),
        (DockerImage().command("a;b"), "'a;b'"),
        (DockerContainer().command("a b"), "'a b'"),
        (ModelFolder().command("/m m"), "'/m m'"),
        (UserGroups().command(["a b"]), "'a b'"),
        (SystemdUnit().command("a b"), "'a b'"),
        (GroupExists().command("$(x)"), "'$(x)'"),
        (EngineReadiness().command("u", "c", 1, "m m"), "'m m'"),
        (InstalledPackages().command(["a b"]), "'a b'"),
        (KernelSetting().command("a b.c"), "'/proc/sys/a b/c'"),
    ],
)
def test_arguments_are_quoted(command: object, quoted: str) -> None:
    assert quoted in str(command)
