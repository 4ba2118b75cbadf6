"""Which lines of which units, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, FailedError


def test_since_is_an_age_or_a_time(worker: Any) -> None:
    assert worker("since", "10m") == {"ago": 600}
    assert worker("since", "2d") == {"ago": 172800}
    assert worker("since", "2026-01-31T09:30:00Z") == {"since": 1769851800}
    assert worker("since", "2026-01-31T10:30:00+01:00") == {"since": 1769851800}
    assert worker("since", "2026-01-31") == {"since": 1769817600}


@pytest.mark.parametrize("text", ["", "yesterday", "10", "m", "-10m", "2026-13-01"])
def test_any_other_since_is_refused(worker: Any, text: str) -> None:
    with pytest.raises(FailedError) as caught:
        worker("since", text)
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert next_of(caught.value) == "rocminfra logs --since 10m"


def test_lines_of_all_hosts_are_in_the_order_of_their_times(worker: Any) -> None:
    assert worker(
        "merged",
        {"a": [("1", "a1"), (None, "a1, no time"), ("4", "a4")], "b": [("2", "b2"), ("3", "b3")]},
    ) == ["a1", "a1, no time", "b2", "b3", "a4"]
