"""Two sides compared: repetitions, differing rates, what is missing, hosts that belong together."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import recorded_runs
from recorded_runs import RUNS

from rocminfra.failure import FailedError
from rocminfra.report.comparison.baseline import baseline_text, checks, read_baseline
from rocminfra.report.comparison.compare import compare
from rocminfra.report.comparison.sides import pairs, subjects
from rocminfra.report.comparison.subject import Measured, Subject, Value, subject
from rocminfra.report.figures.report import make_report
from rocminfra.report.summary import HostReport


def side(name: str, *points: Measured, **changes: object) -> Subject:
    found = Subject(name, "host", True, "good", {"Model": "m"}, {"Engine": "1"}, points)
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]


def itl(value: float, noise: float | None = None, repetitions: int = 1) -> dict[str, Value]:
    return {"itl_median_s": Value(value, noise, repetitions)}


@pytest.fixture(scope="module")
def recorded() -> HostReport:
    (host,) = make_report(RUNS / "a").hosts
    return host


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1.0, 1.04, "within noise"),
        (1.0, 1.06, "worse"),
        (1.0, 0.94, "better"),
        (1.0, 0.96, "within noise"),
    ],
)
def test_lower_is_better_of_a_latency(before: float, after: float, verdict: str) -> None:
    one = side("a", Measured("c@4", "c@4", itl(before)))
    other = side("b", Measured("c@4", "c@4", itl(after)))
    (point,) = compare(one, other).points
    (change,) = point.changes
    assert change.verdict == verdict
    assert change.change == pytest.approx(after / before - 1)


def test_higher_is_better_of_a_rate() -> None:
    one = side("a", Measured("c@4", "c@4", {"tokens_per_s": Value(100.0)}))
    other = side("b", Measured("c@4", "c@4", {"tokens_per_s": Value(90.0)}))
    assert compare(one, other).verdict == "1 worse, of 1 figures at 1 loads"
    assert compare(other, one).verdict == "1 better, of 1 figures at 1 loads"


def test_repetitions_on_both_sides_find_less() -> None:
    one = side("a", Measured("c@4", "c@4", itl(1.0, 0.01, 5)))
    other = side("b", Measured("c@4", "c@4", itl(1.03, 0.01, 5)))
    assert compare(one, other).count("worse") == 1
    once = side("b", Measured("c@4", "c@4", itl(1.03, 0.01)))
    assert compare(one, once).count("worse") == 0


def test_rates_that_differ_are_other_loads() -> None:
    one = side("a", Measured("constant/1", "constant@1.00", itl(1.0), 1.0))
    near = side("b", Measured("constant/1", "constant@1.04", itl(1.0), 1.04))
    far = side("b", Measured("constant/1", "constant@1.10", itl(9.0), 1.10))
    assert len(compare(one, near).points) == 1
    found = compare(one, far)
    assert found.points == ()
    assert found.skipped == {"constant/1": "another load: 1 and 1.1 requests/s"}
    assert found.verdict.startswith("nothing to compare")
    # A gate does not fail for a load that was another one, but it may not pass on nothing.
    assert [check.problem for check in checks(found)] == [
        None,
        "no load of the baseline was measured again",
    ]


def test_what_is_configured_differently_is_named() -> None:
    one = side("a", Measured("c@4", "c@4", itl(1.0)))
    other = side("b", Measured("c@4", "c@4", itl(1.0)), configuration={"Engine": "2", "New": "x"})
    (difference,) = compare(one, other).differences
    assert (difference.name, difference.before, difference.after) == ("Engine", "1", "2")


def test_repetitions_of_a_point_are_one_load_with_their_own_noise(recorded: HostReport) -> None:
    point = recorded.point("01-concurrent-4")
    assert point is not None
    assert point.figures is not None
    values = (5.0, 5.1, 5.2)
    again = tuple(
        dataclasses.replace(
            point,
            name=f"01-concurrent-4-again-{number}",
            figures=dataclasses.replace(point.figures, requests_per_s=value),
        )
        for number, value in enumerate(values)
    )
    (found,) = subject("run", dataclasses.replace(recorded, points=again)).points
    assert found.key == "concurrent@4"
    rate = found.figures["requests_per_s"]
    assert rate.value == pytest.approx(5.1)
    assert rate.repetitions == 3
    assert rate.noise == pytest.approx(4.303 * 0.1 / 3**0.5 / 5.1, rel=1e-3)
    two = subject("run", dataclasses.replace(recorded, points=again[:2])).points[0]
    assert two.figures["requests_per_s"].repetitions == 1


def test_an_invalid_point_is_in_no_figure(recorded: HostReport) -> None:
    point = recorded.point("01-concurrent-4")
    assert point is not None
    bad = dataclasses.replace(point, outcome="invalid", reasons=("it lied",))
    found = subject("run", dataclasses.replace(recorded, points=(bad,)))
    assert found.points == ()
    assert found.invalid == {"concurrent@4": "it lied"}
    # A repetition that is valid stands for the load; the invalid one is not averaged in.
    both = subject("run", dataclasses.replace(recorded, points=(bad, point)))
    assert [one.key for one in both.points] == ["concurrent@4"]
    assert both.invalid == {}


def test_hosts_belong_together_by_name(tmp_path: Path) -> None:
    run = recorded_runs.copy("a", tmp_path / "one")
    (alone,) = subjects(make_report(run))
    named = [dataclasses.replace(alone, host=name) for name in ("x", "y")]
    assert pairs([alone], [named[1]]) == ((alone, named[1]),)
    assert pairs(named, named[::-1]) == tuple(zip(named, named, strict=True))
    with pytest.raises(FailedError, match="the runs have other hosts") as caught:
        pairs(named, [alone])
    assert caught.value.failure.why == ("the first has x, y", "the second has figures")


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    hosts = subjects(make_report(RUNS / "a"))
    path = tmp_path / "baseline.json"
    path.write_text(baseline_text(hosts))
    assert read_baseline(path) == hosts
    # A person may loosen the noise of a figure by hand.
    document = json.loads(path.read_text())
    document["hosts"][0]["points"][0]["figures"]["itl_median_s"]["noise"] = 0.5
    path.write_text(json.dumps(document))
    (host,) = read_baseline(path)
    assert host.points[0].figures["itl_median_s"].noise == 0.5
