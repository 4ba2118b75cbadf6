"""Kernel settings and the environment of services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.system import KernelSetting, ManagerEnvironment
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.system import kernel_setting, service_environment

KEY = {"key": "kernel.numa_balancing", "value": "0", "file": HostFile("/etc/sysctl.d/x", "y\n")}
FILE = HostFile("/etc/systemd/system.conf.d/50-rocminfra.conf", "z\n")
WRITTEN = {FILE.path: PathState("regular file", 0o644, "root", "root", FILE.sha256)}


def test_already_right_needs_no_command_and_no_file(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[KernelSetting] = "0"
    assert run(kernel_setting, **KEY).commands == []


def test_a_kernel_without_the_setting_is_left_alone(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[KernelSetting] = None
    assert run(kernel_setting, **KEY).commands == []
    assert "no kernel.numa_balancing" in scripted.noops[0]


def test_it_is_set_now_and_kept(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({KernelSetting: "1", PathStates: {}})
    shell = run(kernel_setting, **KEY).shell
    assert "put /etc/sysctl.d/x" in shell
    assert shell[-1] == "sysctl -q -w kernel.numa_balancing=0"


def test_services_have_the_environment_already(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({PathStates: WRITTEN, ManagerEnvironment: {"A": "1", "PATH": "/bin"}})
    assert run(service_environment, environment={"A": "1"}, file=FILE).commands == []


def test_a_run_killed_after_writing_is_finished_by_the_next(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts.update({PathStates: WRITTEN, ManagerEnvironment: {"PATH": "/bin"}})
    shell = run(service_environment, environment={"A": "1"}, file=FILE).shell
    assert shell == ["systemctl daemon-reload"]
