"""The noise band: by hand, and that it holds what it says."""

from __future__ import annotations

import random
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.report.comparison import noise

VALUES = st.lists(st.floats(0.001, 1e3), min_size=2, max_size=60)


def test_the_95th_percentile_by_hand() -> None:
    assert noise.p95(range(1, 101)) == 95
    assert noise.p95([3.0]) == 3.0
    assert noise.p95([1.0, 2.0]) == 2.0


@given(VALUES)
def test_a_percentile_is_one_of_the_values_and_few_lie_above(values: list[float]) -> None:
    found = noise.p95(values)
    assert found in values
    assert sum(value > found for value in values) <= 0.05 * len(values)


def test_repetitions_by_hand() -> None:
    # Mean 10, standard deviation 1, three of them: 4.303 × 1 / √3 of 10.
    assert noise.of_repetitions([9.0, 10.0, 11.0]) == pytest.approx(0.24843, abs=1e-5)
    assert noise.of_repetitions([5.0] * 3) == noise.FLOOR_OF_REPETITIONS
    assert noise.of_repetitions([4.0, 6.0]) is None
    assert noise.of_repetitions([0.0] * 3) is None


@pytest.mark.parametrize("count", [3, 5, 11])
def test_the_mean_of_repetitions_is_within_in_about_95_of_100(count: int) -> None:
    chance = random.Random(3)
    within = 0
    for _ in range(1_000):
        values = [chance.gauss(100.0, 10.0) for _ in range(count)]
        band = noise.of_repetitions(values)
        assert band is not None
        within += abs(fmean(values) - 100.0) <= band * fmean(values)
    assert 930 <= within <= 975


def test_a_difference_has_the_noise_of_both() -> None:
    assert noise.band(0.3, 0.4) == pytest.approx(0.5)
    assert noise.band(None, None) == noise.FLOOR
    assert noise.band(0.001, 0.001, 0.1) == 0.1


def test_the_edges_of_the_window() -> None:
    assert noise.at_the_edges(4.0, 100) == 0.04
    assert noise.at_the_edges(None, 20) == 0.05


@given(VALUES, st.floats(0.01, 100))
def test_the_bootstrap_is_repeatable_and_has_no_unit(values: list[float], scale: float) -> None:
    found = noise.bootstrap(values, median)
    assert found == noise.bootstrap(values, median)
    assert found is not None
    scaled = noise.bootstrap([value * scale for value in values], median)
    assert scaled == pytest.approx(found, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("count", [50, 2_000])
def test_the_bootstrap_of_a_mean_is_its_standard_error(count: int) -> None:
    chance = random.Random(1)
    values = [chance.gauss(10.0, 2.0) for _ in range(count)]
    expected = 2 * 0.2 / count**0.5
    assert noise.bootstrap(values, fmean) == pytest.approx(expected, rel=0.3)


def test_of_the_same_distribution_about_95_in_100_are_within() -> None:
    chance = random.Random(2)
    within = 0
    for _ in range(200):
        one, other = ([chance.gauss(10, 2) for _ in range(100)] for _ in range(2))
        band = noise.band(noise.bootstrap(one, median), noise.bootstrap(other, median), floor=0.0)
        within += abs(median(other) / median(one) - 1) <= band
    assert 180 <= within <= 200


def test_too_little_for_a_bootstrap() -> None:
    assert noise.bootstrap([], median) is None
    assert noise.bootstrap([1.0], median) is None
    assert noise.bootstrap([0.0, 0.0], median) is None
