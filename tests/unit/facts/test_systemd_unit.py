"""A unit of systemd."""

from __future__ import annotations

from rocminfra.facts.systemd_unit import SystemdUnit, Unit, UnitCommand


def test_systemd_unit() -> None:
    output = [
        "LoadState=loaded",
        "ActiveState=active",
        "UnitFileState=enabled",
        "NeedDaemonReload=yes",
        "InvocationID=0a",
    ]
    assert SystemdUnit().process(output) == Unit("loaded", "active", True, True, "0a")


def test_the_command_of_a_unit() -> None:
    output = [
        "{ path=/usr/bin/docker ; argv[]=/usr/bin/docker run --rm --label=a=b image ; "
        "ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
    ]
    expected = ("/usr/bin/docker", "run", "--rm", "--label=a=b", "image")
    assert UnitCommand().process(output) == expected
    assert UnitCommand().process([""]) == ()


def test_its_arguments_are_quoted() -> None:
    assert "'a b'" in str(SystemdUnit().command("a b"))
