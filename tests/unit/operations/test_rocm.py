"""Access to the GPU's nodes, and the refusal of a host without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pyinfra import state

from rocminfra.facts.gpu_memory import Gpu, GpuReport, Gpus
from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.system import GroupExists, UserGroups
from rocminfra.failure import ExitCode, again_words, next_words
from rocminfra.operations import rocm
from rocminfra.operations.host_failures import failures
from rocminfra.operations.host_files import HostFile
from rocminfra.settings.argument_names import SETTING_OF

RULE = HostFile("/etc/udev/rules.d/70-rocminfra-gpu.rules", "rule\n")
KFD = GpuNode("/dev/kfd", 992, "render", 0o660)
RENDER = GpuNode("/dev/dri/renderD128", 992, "render", 0o660)
CARD = GpuNode("/dev/dri/card0", 44, "video", 0o660)


@pytest.fixture
def converged(scripted: Any) -> Any:
    scripted.facts.update(
        {
            GpuNodes: (KFD, CARD, RENDER),
            GroupExists: True,
            PathStates: {RULE.path: PathState("regular file", 0o644, "root", "root", RULE.sha256)},
            UserGroups: {"ann": frozenset({"ann", "render", "video"}), "ben": frozenset({"ben"})},
        }
    )
    return scripted


def access(run: Callable[..., Any], *users: str) -> Any:
    return run(rocm.access, users=list(users), rule=RULE)


def test_converged_means_no_command(converged: Any, run: Callable[..., Any]) -> None:
    assert access(run, "ann").commands == []


def test_a_user_is_added_to_the_groups_that_own_the_nodes(
    converged: Any, run: Callable[..., Any]
) -> None:
    assert access(run, "ann", "ben").shell == ["usermod -aG render,video ben"]


def test_a_user_that_does_not_exist_is_said_so(converged: Any, run: Callable[..., Any]) -> None:
    failure = access(run, "zoe").failure
    assert failure.kind is ExitCode.SETTINGS
    assert "zoe" in failure.what


def test_nodes_of_another_group_are_mended_now_and_for_the_next_boot(
    converged: Any, run: Callable[..., Any]
) -> None:
    converged.facts[GpuNodes] = (GpuNode("/dev/kfd", 0, "root", 0o600), RENDER)
    converged.facts[PathStates] = {}
    shell = access(run).shell
    assert f"put {RULE.path}" in shell
    assert "udevadm trigger" in shell[-1]
    assert "chgrp render /dev/kfd" in shell[-1]


def test_a_missing_group_is_made(converged: Any, run: Callable[..., Any]) -> None:
    converged.facts[GroupExists] = False
    assert access(run).shell == ["groupadd --system render"]


@pytest.mark.parametrize(
    ("nodes", "count", "expected"),
    [
        ((KFD, CARD, RENDER), 1, None),
        ((CARD, RENDER), 1, "/dev/kfd is missing"),
        ((KFD, CARD), 1, "0 render nodes instead of 1"),
        ((KFD, RENDER), 8, "1 render nodes instead of 8"),
    ],
)
def test_what_is_missing(nodes: tuple[GpuNode, ...], count: int, expected: str | None) -> None:
    found = rocm.missing_nodes(nodes, count, GpuReport())
    assert (found is None) if expected is None else expected in str(found)


def card(number: int, **changes: Any) -> Gpu:
    whole = Gpu(
        f"renderD{number}",
        f"/sys/d/{number}",
        "amdgpu",
        "0x1002",
        "0x74b5",
        196_288 << 20,
        "SPX",
        None,
    )
    return replace(whole, **changes)


def partition(number: int) -> Gpu:
    path = f"/sys/devices/platform/amdgpu_xcp.{number}"
    return Gpu(f"renderD{number}", path, "amdgpu", None, None, None, None, None)


INTEL = card(129, driver="i915", vendor="0x8086", vram_bytes=None, compute_partition=None)


@pytest.mark.parametrize(
    ("gpus", "rows", "count", "expected"),
    [
        ([card(128), card(129)], None, 2, None),
        ([card(128), INTEL], None, 1, None),
        (
            [card(128), INTEL],
            None,
            2,
            "1 render nodes instead of 2: /dev/dri/renderD128 (renderD129",
        ),
        (
            [card(128), card(129, vram_bytes=512 << 20)],
            None,
            2,
            "is none: integrated or of another",
        ),
        ([card(128), card(129, vram_bytes=0)], None, 2, "does not say how much memory"),
        # The nodes of partitions that a GPU in one piece could have.
        ([card(128), partition(129)], None, 2, "1 render nodes instead of 2: /dev/dri/renderD128"),
        ([card(128, compute_partition="DPX"), partition(129)], (196_288, None), 2, None),
        (
            [card(128, compute_partition="DPX"), partition(129)],
            (196_288, None),
            8,
            "2 GPUs instead",
        ),
        ([card(128, compute_partition="DPX"), partition(129)], (), 2, None),
        # amd-smi before ROCm 6.4 lists cards, and how many parts CPX has no name says.
        ([card(128, compute_partition="CPX"), partition(129)], (196_288,), 2, None),
        # A GPU of the driver's without its node.
        ([card(128), card(130)], None, 2, "1 render nodes instead of 2: /dev/dri/renderD128"),
        # As for the container: where the driver knows of none, the engine says what is wrong.
        ([INTEL], None, 2, None),
    ],
)
def test_only_what_an_engine_may_use_counts(
    gpus: list[Gpu], rows: tuple[int | None, ...] | None, count: int, expected: str | None
) -> None:
    other = GpuNode("/dev/dri/renderD129", 104, "render", 0o660)
    found = rocm.missing_nodes((KFD, RENDER, other), count, GpuReport(tuple(gpus), rows))
    assert (found is None) if expected is None else expected in str(found)


def test_a_host_without_gpu_is_taken_out_before_its_first_operation(scripted: Any) -> None:
    scripted.facts.update({GpuNodes: (), Gpus: GpuReport()})
    state.active_hosts.add(scripted)
    rocm.gate()
    assert state.failed_hosts == {scripted}
    assert state.active_hosts == set()
    assert failures(scripted)[0].kind is ExitCode.UNFIT


@pytest.mark.parametrize(
    ("nodes", "remedy"),
    [
        ((CARD, RENDER), "modprobe amdgpu"),
        ((KFD, CARD), "reboot"),
        ((KFD, RENDER), "--data rocm.gpu_count=1"),
    ],
)
def test_the_remedy_cures_what_is_missing(
    nodes: tuple[GpuNode, ...], remedy: str, scripted: Any
) -> None:
    scripted.facts.update({GpuNodes: nodes, Gpus: GpuReport()})
    state.active_hosts.add(scripted)
    rocm.gate(gpu_count=8)
    following = failures(scripted)[0].next
    assert following is not None
    said = next_words(following, again_words, SETTING_OF)
    assert remedy in said
    assert ("modprobe" in said) == ("modprobe" in remedy)


def test_a_container_gets_the_folder_unless_there_are_other_cards(scripted: Any) -> None:
    found = Gpu("renderD128", "a", "amdgpu", "0x1002", "0x74b5", 196_288 << 20, None, None)
    scripted.facts[Gpus] = GpuReport((found,))
    assert rocm.container_devices() == ("/dev/dri",)
    other = Gpu("renderD129", "b", "i915", "0x8086", "0x46a6", None, None, None)
    scripted.facts[Gpus] = GpuReport((found, other))
    assert rocm.container_devices() == ("/dev/dri/renderD128",)
    scripted.facts[Gpus] = GpuReport()
    assert rocm.container_devices() == ("/dev/dri",)
