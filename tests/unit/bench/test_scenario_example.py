"""benchmarks/example.yaml has every key there is, and every value that it calls the default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from rocminfra.bench.scenario import BASED_ON, Scenario, Slo, load_scenario, scenario_names
from rocminfra.bench.scenario_data import DATA_KINDS, Data
from rocminfra.bench.scenario_stages import ScenarioStage
from rocminfra.settings.problems import SettingsError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
TEXT = (BENCHMARKS / "example.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
COMMENTED = [
    yaml.safe_load(line.removeprefix("# "))["data"]
    for line in TEXT.splitlines()
    if line.startswith("# data: {")
]


def test_it_is_a_scenario_that_can_be_copied(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TEXT)
    assert load_scenario("mine", tmp_path).description == "every key of a scenario"


def test_it_does_not_run_by_its_own_name() -> None:
    assert "example" not in scenario_names(BENCHMARKS)
    with pytest.raises(SettingsError, match="no scenario 'example'"):
        load_scenario("example", BENCHMARKS)


def test_every_key_of_a_scenario_is_there() -> None:
    assert set(VALUES) == set(Scenario.model_fields) - {"name"}
    assert f"# {BASED_ON}: " in TEXT
    assert set(VALUES["slo"]) == set(Slo.model_fields)


def test_every_profile_and_every_key_of_a_stage_is_there() -> None:
    profiles = ScenarioStage.model_fields["profile"].annotation
    assert {stage["profile"] for stage in VALUES["stages"]} == set(profiles.__args__)  # type: ignore[union-attr]
    keys = {key for stage in VALUES["stages"] for key in stage}
    assert keys == set(ScenarioStage.model_fields)


def test_every_kind_of_data_is_there_with_every_key() -> None:
    shown = [VALUES["data"], *COMMENTED]
    assert {data["kind"] for data in shown} == set(DATA_KINDS)
    for data in shown:
        assert set(data) == set(DATA_KINDS[data["kind"]].model_fields), data
        TypeAdapter(Data).validate_python(data)


def test_what_it_says_of_defaults_is_so() -> None:
    for key in ("overhead_seconds", "min_completed", "max_error_rate", "sample_size", "seed"):
        assert VALUES[key] == Scenario.model_fields[key].default, key
    assert VALUES["worker_processes"] == Scenario.model_fields["worker_processes"].default
    told = re.findall(r"^(\w+):.*?; (\S+) by default$", TEXT, re.MULTILINE)
    assert {key for key, _ in told} == {"warmup_seconds", "repeat"}
    for key, value in told:
        assert Scenario.model_fields[key].default == yaml.safe_load(value), key


def test_the_smallest_scenario_of_its_head_loads(tmp_path: Path) -> None:
    lines = [line.removeprefix("#   ") for line in TEXT.splitlines() if line.startswith("#   ")]
    start = next(index for index, line in enumerate(lines) if line.startswith("data:"))
    (tmp_path / "small.yaml").write_text("\n".join(lines[start : start + 3]))
    assert load_scenario("small", tmp_path).max_seconds == 30
