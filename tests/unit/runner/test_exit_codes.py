"""The exit code of a run on several hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.failure import SEVERITY, ExitCode, most_severe


def test_every_code_has_its_place_in_the_order() -> None:
    assert sorted(SEVERITY) == sorted(ExitCode)
    assert len(set(SEVERITY)) == len(SEVERITY)


def test_every_kind_of_failure_has_its_exit_code() -> None:
    for kind in ExitCode:
        assert ExitCode(kind.value).name == kind.name


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], ExitCode.DONE),
        ([0, 2], ExitCode.CHANGES),
        ([4, 5], ExitCode.REFUSED),
        ([7, 4], ExitCode.UNREACHABLE),
        ([1, 6, 7], ExitCode.UNFIT),
        ([5, 130], ExitCode.INTERRUPTED),
    ],
)
def test_the_most_severe_code_counts(codes: list[int], expected: ExitCode) -> None:
    assert most_severe(ExitCode(code) for code in codes) is expected


@given(st.lists(st.sampled_from(ExitCode), min_size=1))
def test_the_order_of_hosts_does_not_matter(codes: list[ExitCode]) -> None:
    assert most_severe(codes) is most_severe(reversed(codes))
    assert most_severe(codes) in codes
