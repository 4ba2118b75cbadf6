"""The price of a million tokens, against the published figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.cost import usd_per_million_tokens


@pytest.mark.parametrize(
    ("tokens_per_second", "price"),
    [
        (2621, 0.211),  # all tokens, unfinished requests' included
        (46 * (4996 + 19) / 110, 0.264),  # completed requests only
    ],
)
def test_the_reference_run_costs_what_was_published(tokens_per_second: float, price: float) -> None:
    assert round(usd_per_million_tokens(1.99, tokens_per_second), 3) == price


@pytest.mark.parametrize("tokens_per_second", [0, -1])
def test_nothing_served_has_no_price(tokens_per_second: float) -> None:
    with pytest.raises(ValueError, match="no price per token"):
        usd_per_million_tokens(1.99, tokens_per_second)


def test_a_node_does_not_pay_its_user() -> None:
    with pytest.raises(ValueError, match="cannot cost"):
        usd_per_million_tokens(-1, 100)


@given(usd=st.floats(0.01, 1000), rate=st.floats(0.01, 1e7))
def test_twice_as_fast_is_half_the_price(usd: float, rate: float) -> None:
    once, twice = usd_per_million_tokens(usd, rate), usd_per_million_tokens(usd, 2 * rate)
    assert once == pytest.approx(2 * twice)
