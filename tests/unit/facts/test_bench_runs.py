"""The runs that a host knows; its program has tests of its own."""

from __future__ import annotations

import pytest

from rocminfra.facts.bench_runs import BenchRuns


def test_what_is_no_list_is_no_host_without_runs() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        BenchRuns().process(["sh: python3: not found"])
