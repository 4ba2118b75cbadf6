"""A unit of systemd."""

from __future__ import annotations

from rocminfra.facts.systemd_unit import SystemdUnit, Unit


def test_systemd_unit() -> None:
    output = [
        "LoadState=loaded",
        "ActiveState=active",
        "UnitFileState=enabled",
        "NeedDaemonReload=yes",
        "InvocationID=0a",
    ]
    assert SystemdUnit().process(output) == Unit("loaded", "active", True, True, "0a")


def test_its_arguments_are_quoted() -> None:
    assert "'a b'" in str(SystemdUnit().command("a b"))
