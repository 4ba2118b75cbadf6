"""Which hosts may name which as their load generator."""

from __future__ import annotations

from typing import Any

import pytest

from rocminfra.settings import load_settings
from rocminfra.settings.load_generators import named_by, problem
from rocminfra.settings.problems import SettingsError


def test_another_host_of_the_inventory() -> None:
    assert problem("mi300x-1", "loader", {"mi300x-1": "loader", "loader": None}) is None


def test_a_default_reaches_the_load_generator_itself() -> None:
    named = {"mi300x-1": "loader", "loader": "loader"}
    assert problem("loader", "loader", named) is None


def test_a_host_alone_cannot_name_itself() -> None:
    found = problem("mi300x-1", "mi300x-1", {"mi300x-1": "mi300x-1", "loader": None})
    assert found is not None
    assert str(found) == "bench.load_generator: mi300x-1 is this host itself; leave it out for that"


def test_a_host_that_is_not_there() -> None:
    found = problem("mi300x-1", "laoder", {"mi300x-1": "laoder", "loader": None})
    assert found is not None
    assert str(found) == (
        "bench.load_generator: the inventory has no host 'laoder'; it has mi300x-1, loader "
        "(did you mean loader?)"
    )


@pytest.mark.parametrize("key", ["load_generator_address", "engine_address"])
def test_an_address_without_a_load_generator(key: str) -> None:
    with pytest.raises(SettingsError, match=f"{key} is only used with load_generator"):
        load_settings({f"bench.{key}": "10.0.0.2", "vllm.host": "10.0.0.2"})


def test_an_engine_that_does_not_listen_there() -> None:
    bench = {"bench.load_generator": "loader", "bench.engine_address": "10.0.0.2"}
    with pytest.raises(SettingsError, match=r"set vllm\.host to that address"):
        load_settings(bench)
    for listening in ("10.0.0.2", "0.0.0.0"):
        assert load_settings({**bench, "vllm.host": listening}).bench.engine_address == "10.0.0.2"


@pytest.mark.parametrize(
    "named",
    [
        {"a": "b", "b": "a"},
        {"a": "b", "b": "c", "c": None},
        {"a": "b", "b": "c", "c": "c"},
    ],
)
def test_a_load_generator_has_none_itself(named: dict[str, str | None]) -> None:
    found = problem("a", "b", named)
    assert found is not None
    assert str(found) == (
        f"bench.load_generator: b serves no engine when it sends the load of a, and names "
        f"{named['b']}; leave one of the two out"
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({}, None),
        ({"vllm": {"port": 0}}, None),
        ({"bench": None}, None),
        ({"bench": {"load_generator": "loader"}}, "loader"),
        ({"bench": {"load_generator": "loader"}, "vllm": {"port": 0}}, "loader"),
        ({"bench": {"load_generator": "loader", "guidellm": 1}}, "loader"),
        ({"bench.load_generator": "loader", "vlm.port": 1}, "loader"),
        ({"bench.load_generator": "other", "bench": {"load_generator": "loader"}}, "other"),
        ({"bench.load_generator": "~", "bench": {"load_generator": "loader"}}, None),
        ({"bench.load_generator": "~", "vllm.port": 0}, None),
    ],
)
def test_the_name_is_known_whatever_else_is_wrong(data: dict[str, Any], name: str | None) -> None:
    assert named_by(data) == name


@pytest.mark.parametrize(
    "data",
    [
        {"bench": {"load_generatr": "loader"}},
        {"bench.load_genrator": "loader"},
        {"bnch": {"load_generator": "loader"}},
        {"load_generator": "loader"},
        {"bench": {"load_generator": ["loader"]}},
        {"bench": ["loader"]},
    ],
)
def test_a_name_that_cannot_be_read_is_not_none(data: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        named_by(data)
