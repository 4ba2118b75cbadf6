"""A unit of the engine's name that is somebody's is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from failing import next_of

from rocminfra.facts.docker import Container, DockerContainer
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.fresh_host import FreshHost
from rocminfra.facts.systemd_unit import SystemdUnit, Unit, UnitCommand, UnitOverrides
from rocminfra.failure import ExitCode
from rocminfra.operations.engine_gate import gate
from rocminfra.operations.host_failures import failures
from rocminfra.planning.engine_command import CONFIG_LABEL
from rocminfra.planning.fresh_host import Container as Running
from rocminfra.planning.fresh_host import Observed

UNIT = Unit("loaded", "active", True, False, "1")
OURS = Container("c1", False, "", ((CONFIG_LABEL, "a" * 64),), "sha256:1")
DROP_IN = "/etc/systemd/system/vllm.service.d/override.conf"


@pytest.fixture
def host(scripted: Any) -> Any:
    """A host with an engine of ours."""
    scripted.facts.update(
        {
            SystemdUnit: UNIT,
            UnitCommand: (),
            UnitOverrides: (),
            FileContents: ["{}"],
            DockerContainer: None,
        }
    )
    return scripted


def gated(host: Any) -> tuple[Any, ...]:
    gate(unit="vllm.service", container="vllm")
    return failures(host)


def test_an_engine_of_ours_passes(host: Any) -> None:
    assert gated(host) == ()


def test_a_host_without_one_passes(host: Any) -> None:
    host.facts.update({SystemdUnit: replace(UNIT, load_state="not-found"), FileContents: []})
    assert gated(host) == ()


def test_an_engine_whose_question_was_lost_is_known_by_its_container(host: Any) -> None:
    host.facts.update({FileContents: [], DockerContainer: OURS})
    assert gated(host) == ()


@pytest.mark.parametrize("active", ["active", "inactive", "failed"])
def test_an_engine_that_is_off_and_whose_question_was_lost_is_known_by_its_command(
    active: str, host: Any
) -> None:
    host.facts.update({FileContents: [], DockerContainer: None})
    host.facts[SystemdUnit] = replace(UNIT, active_state=active)
    host.facts[UnitCommand] = ("/usr/bin/docker", "run", "--rm", f"--label={CONFIG_LABEL}=00", "x")
    assert gated(host) == ()


@pytest.mark.parametrize(
    "command",
    [
        ("/usr/bin/docker", "run", "--label=theirs=1", "rocm/vllm"),
        ("/usr/bin/docker", "run", f"--label=x{CONFIG_LABEL}=1", "rocm/vllm"),
        ("/usr/bin/docker", "run", f"--label={CONFIG_LABEL}.other=1", "rocm/vllm"),
        ("/bin/echo", f"--label={CONFIG_LABEL}=1"),
    ],
)
def test_a_command_without_our_label_is_somebodys(command: tuple[str, ...], host: Any) -> None:
    host.facts.update({FileContents: [], UnitCommand: command})
    (failure,) = gated(host)
    assert failure.kind is ExitCode.REFUSED


@pytest.mark.parametrize("container", [None, replace(OURS, labels=())])
@pytest.mark.parametrize("active", ["active", "inactive", "failed"])
def test_somebodys_unit_is_refused(container: Container | None, active: str, host: Any) -> None:
    host.facts.update({FileContents: [], DockerContainer: container})
    host.facts[SystemdUnit] = replace(UNIT, active_state=active)
    (failure,) = gated(host)
    assert failure.kind is ExitCode.REFUSED
    assert f"did not write, and it is {active}" in failure.what
    assert "systemctl disable --now vllm.service" in next_of(failure)


def test_a_masked_unit_is_refused(host: Any) -> None:
    host.facts[SystemdUnit] = replace(UNIT, load_state="masked", active_state="inactive")
    (failure,) = gated(host)
    assert "systemctl unmask vllm.service" in next_of(failure)


def test_a_drop_in_that_replaces_the_command_is_refused(host: Any) -> None:
    host.facts[UnitOverrides] = (DROP_IN,)
    (failure,) = gated(host)
    assert failure.kind is ExitCode.REFUSED
    assert failure.why == (DROP_IN,)
    assert DROP_IN in next_of(failure)


PORT_COMMAND = ("/usr/bin/docker", "run", f"--label={CONFIG_LABEL}=00", "x", "--port=8000")
LEFT = Running("vllm", "x", (CONFIG_LABEL,), (), True, True)


@pytest.mark.parametrize(
    ("port", "active", "containers", "is_taken"),
    [
        (8000, "active", (LEFT,), False),
        (8000, "activating", (), False),
        (8001, "active", (LEFT,), False),
        (22, "active", (LEFT,), True),
        (22, "inactive", (), True),
        (8000, "inactive", (), True),
        (8000, "failed", (LEFT,), False),
        (8000, "failed", (replace(LEFT, labels=()),), True),
    ],
)
def test_no_engine_is_stopped_for_one_that_would_find_its_port_taken(
    port: int, active: str, containers: tuple[Running, ...], is_taken: bool, host: Any
) -> None:
    host.facts[SystemdUnit] = replace(UNIT, active_state=active)
    host.facts[UnitCommand] = PORT_COMMAND
    host.facts[FreshHost] = Observed(containers=containers, listening=(22, 8000))
    gate(unit="vllm.service", container="vllm", port=port)
    assert len(failures(host)) == is_taken
    for failure in failures(host):
        assert failure.kind is ExitCode.UNFIT
        assert next_of(failure).endswith("stop it, or set vllm.port")
        assert f"port {port}, which the engine needs; nothing was changed" in failure.what


def test_an_engine_that_does_not_listen_where_its_unit_says_may_have_the_port(host: Any) -> None:
    host.facts[SystemdUnit] = replace(UNIT, active_state="active")
    host.facts[UnitCommand] = (*PORT_COMMAND[:-1], "--port=9000")
    host.facts[FreshHost] = Observed(containers=(LEFT,), listening=(22, 8000))
    gate(unit="vllm.service", container="vllm", port=8000)
    assert failures(host) == ()


def test_a_first_engine_finds_its_port_taken_too(host: Any) -> None:
    host.facts[SystemdUnit] = replace(UNIT, load_state="not-found", active_state="inactive")
    host.facts[FreshHost] = Observed(listening=(22, 8000))
    gate(unit="vllm.service", container="vllm", port=8000)
    (failure,) = failures(host)
    assert "another program listens on port 8000" in failure.what
