"""Addresses of the lab."""

from __future__ import annotations

import ipaddress

import pytest
from failing import next_of
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.failure import ExitCode, FailedError
from rocminfra.lab import network


def _routes(*texts: str) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(text) for text in texts]


def test_the_first_free_number_is_taken() -> None:
    assert network.free_number("10.83", [1, 2, 4], _routes("10.83.3.0/24")) == 5


@pytest.mark.parametrize("route", ["10.0.0.0/8", "10.83.0.0/16", "10.64.0.0/11"])
def test_addresses_that_are_all_routed_are_refused(route: str) -> None:
    with pytest.raises(FailedError) as caught:
        network.free_number("10.83", [], _routes("203.0.113.0/24", route))
    assert f"route to {route}" in caught.value.failure.why
    assert network.SUBNET_VARIABLE in next_of(caught.value)


@given(
    st.sets(st.integers(1, 250), max_size=200),
    st.lists(st.tuples(st.integers(0, 255), st.integers(17, 32)), max_size=20),
)
def test_a_number_that_is_given_overlaps_nothing(
    taken: set[int], others: list[tuple[int, int]]
) -> None:
    routes = [
        ipaddress.IPv4Network(f"10.83.{third}.0/{length}", strict=False) for third, length in others
    ]
    try:
        number = network.free_number("10.83", taken, routes)
    except FailedError:
        return
    wire = ipaddress.IPv4Network(f"10.83.{number}.0/30")
    assert number not in taken
    assert not any(route.overlaps(wire) for route in routes)


@pytest.mark.parametrize("value", ["203.0", "10", "10.83.1", "x.y", ""])
def test_a_subnet_that_is_none_or_not_private_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(network.SUBNET_VARIABLE, value)
    with pytest.raises(FailedError, match="is not the first half") as caught:
        network.subnet()
    assert caught.value.failure.kind == ExitCode.SETTINGS


def test_another_subnet_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(network.SUBNET_VARIABLE, "172.31")
    assert network.subnet() == "172.31"
