"""What takes the place of functions of pyinfra's answers as they do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyinfra.api import State, arguments, connectors, inventory, util

from rocminfra.connectors import pyinfra_speedups
from rocminfra.connectors.batched_ssh import BatchedSSHConnector
from rocminfra.connectors.pyinfra_speedups import speed_up_pyinfra

REPLACED: list[tuple[dict[str, Any], str, Any, Any]] = [
    (
        vars(arguments),
        "all_global_arguments",
        pyinfra_speedups._ARGUMENTS,
        pyinfra_speedups.global_arguments,
    ),
    (
        vars(inventory),
        "get_all_connectors",
        connectors.get_all_connectors,
        pyinfra_speedups.all_connectors,
    ),
    (vars(util), "stack", inspect.stack, pyinfra_speedups.stack),
    (vars(util), "getframeinfo", inspect.getframeinfo, pyinfra_speedups.frame_info),
]


@pytest.fixture
def plain() -> Iterator[None]:
    """pyinfra as it is installed."""
    before = [names[name] for names, name, _, _ in REPLACED]
    for names, name, real, _ in REPLACED:
        names[name] = real
    yield
    for (names, name, _, _), value in zip(REPLACED, before, strict=True):
        names[name] = value


def test_a_name_in_an_inventory_puts_them_in_place(plain: None) -> None:
    assert list(BatchedSSHConnector.make_names_data("web-1")) == [("web-1", {}, [])]
    for _ in range(2):
        assert [names[name] for names, name, _, _ in REPLACED] == [new for *_, new in REPLACED]
        speed_up_pyinfra()


@pytest.mark.parametrize("number", range(len(REPLACED)))
def test_what_is_not_known_is_left_alone(plain: None, number: int) -> None:
    names, name, _, _ = REPLACED[number]

    def other(*_: Any, **__: Any) -> None:
        raise AssertionError("not called")

    names[name] = other
    speed_up_pyinfra()
    assert names[name] is other
    if names is vars(util):
        # These two belong together.
        assert [vars(util)[n] for n in ("stack", "getframeinfo") if n != name] in (
            [inspect.stack],
            [inspect.getframeinfo],
        )


def test_global_arguments_and_connectors_are_the_same() -> None:
    assert pyinfra_speedups.global_arguments() == pyinfra_speedups._ARGUMENTS()
    assert pyinfra_speedups.all_connectors() == connectors.get_all_connectors()
    pyinfra_speedups.global_arguments().clear()
    pyinfra_speedups.all_connectors().clear()
    assert pyinfra_speedups.global_arguments() == pyinfra_speedups._ARGUMENTS()
    assert pyinfra_speedups.all_connectors() == connectors.get_all_connectors()


def test_the_stack_is_the_same_but_for_source_lines() -> None:
    ours, theirs = pyinfra_speedups.stack(), inspect.stack()  # in one line, for the same number
    assert [frame.frame for frame in ours] == [frame.frame for frame in theirs]
    assert [tuple(frame)[1:4] for frame in ours] == [tuple(frame)[1:4] for frame in theirs]
    for frame in ours:
        assert frame[0] is frame.frame
        both = [info(frame.frame) for info in (pyinfra_speedups.frame_info, inspect.getframeinfo)]
        assert both[0][:3] == both[1][:3]


def test_operations_are_numbered_the_same(plain: None) -> None:
    def located() -> str:
        return util.get_call_location()

    state = cast("State", SimpleNamespace(current_deploy_filename=__file__))
    found = []
    for _ in range(2):  # the second time sped up, in the same line
        found.append((util.get_operation_order_from_stack(state), located()))
        speed_up_pyinfra()
    assert vars(util)["stack"] is pyinfra_speedups.stack
    assert found[0] == found[1]
    assert "test_pyinfra_speedups.py" in found[0][1]
