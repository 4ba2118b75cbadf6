"""Scenarios: typed, refused with file, line and nearest key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from rocminfra.bench.scenario import Scenario, load_scenario, scenario_names
from rocminfra.planning.bench.job_record import ScenarioRecord
from rocminfra.planning.bench.points import planned_names
from rocminfra.planning.bench.records import as_json, read
from rocminfra.planning.bench.retry import IDLE_S
from rocminfra.settings.problems import Problem, SettingsError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

GOOD = """\
data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}
stages:
  - {profile: concurrent, streams: [4]}
max_seconds: 3
"""


def problem(folder: Path, text: str) -> Problem:
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_scenario("mine", folder)
    assert len(caught.value.problems) == 1, caught.value
    return caught.value.problems[0]


def test_every_shipped_scenario_loads() -> None:
    assert scenario_names(BENCHMARKS) == (
        *("docvqa", "docvqa_offline", "lab_docvqa", "lab_sweep", "lab_sweep_native", "smoke"),
        *("synthetic_sweep", "synthetic_sweep_native"),
    )
    for name in scenario_names(BENCHMARKS):
        assert load_scenario(name, BENCHMARKS).name == name


def test_the_published_sweep() -> None:
    scenario = load_scenario("synthetic_sweep", BENCHMARKS)
    assert scenario.record.data == {
        "kind": "synthetic_text",
        "prompt_tokens": 8192,
        "output_tokens": 1024,
    }
    assert (scenario.max_seconds, scenario.warmup_seconds) == (300, 10)
    assert len(planned_names(scenario.plan)) == 10


def test_smoke_is_one_point_and_a_small_sweep_and_is_quick() -> None:
    scenario = load_scenario("smoke", BENCHMARKS)
    assert planned_names(scenario.plan) == (
        "01-concurrent-4",
        "02-sweep-synchronous",
        "02-sweep-throughput",
        "02-sweep-constant-1",
        "02-sweep-constant-2",
    )
    assert scenario.max_seconds * 5 <= 20


def test_only_hub_data_needs_the_hub() -> None:
    assert load_scenario("docvqa", BENCHMARKS).needs_hub
    assert not load_scenario("smoke", BENCHMARKS).needs_hub


def test_published_figures_are_data_for_their_scenarios() -> None:
    published = yaml.safe_load((BENCHMARKS / "reference.yaml").read_text())["scenarios"]
    for name, figures in published.items():
        scenario = load_scenario(name, BENCHMARKS)
        assert scenario.max_seconds == figures["max_seconds"]
        assert scenario.warmup_seconds == figures["warmup_seconds"]
    with pytest.raises(SettingsError, match="no scenario 'reference'"):
        load_scenario("reference", BENCHMARKS)


def test_the_offline_set_is_all_that_differs_from_the_published_run() -> None:
    published = load_scenario("docvqa", BENCHMARKS)
    offline = load_scenario("docvqa_offline", BENCHMARKS)
    changed = {
        key for key in Scenario.model_fields if getattr(published, key) != getattr(offline, key)
    }
    assert changed == {"name", "description", "data"}
    assert not offline.needs_hub


@pytest.mark.parametrize(
    ("lab", "published", "changed"),
    [
        ("lab_sweep", "synthetic_sweep", set()),
        ("lab_sweep_native", "synthetic_sweep", {"stages"}),
        ("lab_docvqa", "docvqa", {"data"}),
    ],
)
def test_on_a_practice_droplet_only_durations_differ(
    lab: str, published: str, changed: set[str]
) -> None:
    here, there = (load_scenario(name, BENCHMARKS) for name in (lab, published))
    differing = {key for key in Scenario.model_fields if getattr(here, key) != getattr(there, key)}
    durations = {"max_seconds", "warmup_seconds", "worker_processes"}
    assert differing == {"name", "description"} | durations | changed
    assert here.planned == there.planned


def test_the_program_on_the_host_takes_the_same_stages() -> None:
    scenario = load_scenario("smoke", BENCHMARKS)
    plain = json.loads(json.dumps(as_json(scenario.record)))
    assert read(ScenarioRecord, plain, "job.json") == scenario.record


def test_a_path_is_a_scenario_too(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert load_scenario(str(tmp_path / "mine.yaml"), BENCHMARKS).name == "mine"


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError) as caught:
        load_scenario("smok", BENCHMARKS)
    (found,) = caught.value.problems
    assert (found.key, found.hint) == ("bench.scenario", "smoke")


def test_a_scenario_based_on_another_has_its_keys_and_its_own(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(GOOD)
    (tmp_path / "mine.yaml").write_text("based_on: base\nmax_seconds: 7\n")
    mine, base = load_scenario("mine", tmp_path), load_scenario("base", tmp_path)
    assert (mine.name, mine.max_seconds) == ("mine", 7)
    assert (mine.data, mine.stages) == (base.data, base.stages)
    (tmp_path / "third.yaml").write_text("based_on: mine\ndescription: third\n")
    third = load_scenario("third", tmp_path)
    assert (third.max_seconds, third.description, third.data) == (7, "third", base.data)


def test_only_a_scenario_of_the_folder_can_be_a_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(GOOD)
    found = problem(tmp_path, "based_on: bas\n")
    assert (found.key, found.hint, found.where) == ("based_on", "base", f"{tmp_path}/mine.yaml:1")
    (tmp_path / "second.yaml").write_text("based_on: mine\n")
    assert "'second' cannot be" not in problem(tmp_path, "based_on: second\n").what
    assert "'mine' cannot be a base here" in problem(tmp_path, "based_on: second\n").what
    assert "'mine' cannot be a base here" in problem(tmp_path, "based_on: mine\n").what
    wrong = problem(tmp_path, "based_on: base\nmax_second: 7\n")
    assert (wrong.hint, wrong.where) == ("max_seconds", f"{tmp_path}/mine.yaml:2")


@pytest.mark.parametrize(
    ("old", "new", "key", "hint", "line"),
    [
        ("max_seconds", "max_second", "max_second", "max_seconds", 4),
        ("streams:", "stream:", "stages[0].stream", "streams", 3),
        ("prompt_tokens", "promt_tokens", "data.promt_tokens", "prompt_tokens", 1),
    ],
)
def test_an_unknown_key_is_refused_with_line_and_nearest(
    tmp_path: Path, old: str, new: str, key: str, hint: str, line: int
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(SettingsError) as caught:
        load_scenario("mine", tmp_path)
    unknown = [item for item in caught.value.problems if item.what == "unknown key"]
    assert [(item.key, item.hint) for item in unknown] == [(key, hint)]
    assert unknown[0].where == f"{tmp_path}/mine.yaml:{line}"


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("synthetic_text", "synthetic_test", "data.kind", "'synthetic_test' is no kind of data"),
        ("kind: synthetic_text, ", "", "data.kind", "is needed: one of synthetic_text, "),
        ("max_seconds: 3", "max_seconds: 3\nslo: [3]", "slo", "must be keys with values"),
        (
            "max_seconds: 3",
            "max_seconds: 3\nmin_completed: 6\nmax_requests: 5",
            "",
            "min_completed (6) must not be above max_requests (5)",
        ),
        (
            "concurrent, streams: [4]",
            "bursts, burst_requests: 1000000, every_seconds: 2",
            "",
            "bursts has 2,000,000 requests",
        ),
        ("prompt_tokens: 128", "prompt_tokens: 0", "data.prompt_tokens", "greater than or equal"),
        ("prompt_tokens: 128", "prompt_tokens: many", "data.prompt_tokens", "integer"),
        ("streams: [4]", "streams: [0]", "stages[0].streams[0]", "greater than or equal"),
        ("streams: [4]", "streams: [4, 4]", "stages[0]", "twice"),
        ("streams: [4]", "rates: [1.5]", "stages[0]", "needs streams"),
        ("streams: [4]", "streams: [4], size: 5", "stages[0]", "does not take size"),
        (
            "concurrent, streams: [4]",
            "throughput, streams: [4]",
            "stages[0]",
            "does not take streams",
        ),
        ("concurrent, streams: [4]", "sweep, size: 2", "stages[0].size", "greater than or equal"),
        ("max_seconds: 3", "max_seconds: -1", "max_seconds", "greater than 0"),
        ("max_seconds: 3", "{max_seconds: 3, warmup_seconds: 3}"[1:-1], "", "mapping values"),
        ("max_seconds: 3", "max_seconds: 3\nwarmup_seconds: 3", "", "must be below max_seconds"),
        ("max_seconds: 3", "max_seconds: 3\nmax_error_rate: 2", "max_error_rate", "less than"),
    ],
)
def test_what_cannot_be_run_is_refused(
    tmp_path: Path, old: str, new: str, key: str, says: str
) -> None:
    found = problem(tmp_path, GOOD.replace(old, new))
    assert found.key == key
    assert says in found.what


def test_the_deadline_covers_every_point() -> None:
    scenario = Scenario.model_validate(
        {
            "name": "x",
            "data": {"kind": "synthetic_text", "prompt_tokens": 1, "output_tokens": 1},
            "stages": [{"profile": "sweep", "size": 4}, {"profile": "throughput"}],
            "max_seconds": 10,
            "overhead_seconds": 20,
        }
    )
    # Each may be tried twice, with a wait for the engine in between.
    assert scenario.deadline_seconds == 5 * (30 + IDLE_S + 30)
