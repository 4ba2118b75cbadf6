"""Kernel settings and the environment of services."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.system import KernelSetting, ManagerEnvironment
from rocminfra.operations import host_files
from rocminfra.operations.commands import Commands


@operation()
def kernel_setting(key: str, value: str, file: host_files.HostFile) -> Commands:
    """Ensure a sysctl's value now and after a reboot, on kernels that have it.

    + key: such as ``kernel.numa_balancing``
    + value: as the kernel prints it
    + file: sysctl.d file that keeps it

    A value that is right already needs no command and no file.
    """
    found = host.get_fact(KernelSetting, key=key)
    if found is None:
        host.noop(f"this kernel has no {key}")
        return
    if found == value:
        host.noop(f"{key} is {value}")
        return
    yield from host_files.present._inner([file])
    yield StringCommand("sysctl -q -w", QuoteString(f"{key}={value}"))


@operation()
def service_environment(environment: Mapping[str, str], file: host_files.HostFile) -> Commands:
    """Ensure the environment that systemd hands to every service.

    + environment: name to value
    + file: system.conf.d file with ``DefaultEnvironment=``

    What counts is what systemd has read, so a run that was killed after writing the file is
    mended by the next one.
    """
    changes = list(host_files.present._inner([file]))
    yield from changes
    live = host.get_fact(ManagerEnvironment)
    if changes or any(live.get(name) != value for name, value in environment.items()):
        yield StringCommand("systemctl daemon-reload")
