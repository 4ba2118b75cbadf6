"""Benchmark scenarios: the load for the engine, typed and validated before anything runs.

A scenario is a YAML file in ``benchmarks/``::

    description: questions about scanned documents, 64 streams
    data: {kind: huggingface, source: lmms-lab/DocVQA}
    stages:
      - {profile: concurrent, streams: [64]}
    max_seconds: 120
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from rocminfra.bench.scenario_data import (
    DATA_KINDS,
    Data,
    DataFile,
    HubDataset,
    ImageFolder,
    SyntheticText,
    guidellm_keys,
)
from rocminfra.bench.scenario_stages import ScenarioStage
from rocminfra.planning.bench.job_record import ScenarioRecord
from rocminfra.planning.bench.points import Point, Stage, planned_names
from rocminfra.planning.bench.profiles import load_seconds, most_points
from rocminfra.planning.bench.retry import longest_seconds
from rocminfra.settings import OneLine, Section
from rocminfra.settings.located_yaml import Located, read_yaml
from rocminfra.settings.problems import Problem, SettingsError

# The scenario whose keys a file takes over, except those that it has itself.
BASED_ON = "based_on"
# Data files in benchmarks/ that are not scenarios.
NOT_SCENARIOS = ("example", "reference")
# Their trace is a line each, and GuideLLM makes the prompts of all lines that it may need.
MOST_IN_BURSTS = 1_000_000


class Slo(Section):
    """What a request must keep to in order to count towards goodput; all that are set."""

    ttft_ms: float | None = Field(default=None, gt=0, description="time to first token")
    tpot_ms: float | None = Field(
        default=None, gt=0, description="time per output token after the first"
    )
    e2el_ms: float | None = Field(default=None, gt=0, description="from sending to the last token")

    @model_validator(mode="after")
    def _has_an_objective(self) -> Slo:
        if self.ttft_ms is self.tpot_ms is self.e2el_ms is None:
            raise ValueError("needs at least one of ttft_ms, tpot_ms and e2el_ms")
        return self


class Scenario(Section):
    """One scenario, with all defaults."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: OneLine = ""
    data: Data
    stages: list[ScenarioStage] = Field(min_length=1)
    max_seconds: float = Field(gt=0, description="length of a point, including warm-up")
    max_requests: int | None = Field(
        default=None, ge=1, description="requests after which a point ends early"
    )
    repeat: int = Field(
        default=1, ge=1, le=20, description="how often each point is measured, for its noise"
    )
    slo: Slo | None = Field(default=None, description="latency objectives, of every point")
    warmup_seconds: float = Field(default=0, ge=0, description="excluded from the figures")
    overhead_seconds: float = Field(
        default=180,
        gt=0,
        description="time allowed on top of max_seconds for starting GuideLLM, generating its "
        "data and writing its report; the first points of a run show how much is needed",
    )
    min_completed: int = Field(
        default=1, ge=1, description="completed requests that a valid point needs"
    )
    max_error_rate: float = Field(default=0.0, ge=0, le=1)
    worker_processes: int = Field(default=10, ge=1, description="GuideLLM's own default is 10")
    sample_size: int = Field(
        default=200, ge=1, description="requests of each outcome that report.json keeps"
    )
    seed: int = Field(default=42, ge=0)

    @model_validator(mode="after")
    def _leaves_time_to_measure(self) -> Scenario:
        if self.warmup_seconds >= self.max_seconds:
            raise ValueError(
                f"warmup_seconds ({self.warmup_seconds:g}) must be below max_seconds "
                f"({self.max_seconds:g})"
            )
        if self.max_requests is not None and self.min_completed > self.max_requests:
            raise ValueError(
                f"min_completed ({self.min_completed}) must not be above max_requests "
                f"({self.max_requests}): no point could be valid"
            )
        for stage in self.stages:
            if stage.profile == "bursts" and stage.every_seconds > 0:
                requests = stage.burst_requests * math.ceil(self.max_seconds / stage.every_seconds)
                if requests > MOST_IN_BURSTS:
                    raise ValueError(
                        f"profile bursts has {requests:,} requests in max_seconds; GuideLLM reads "
                        f"them all before it begins, at most {MOST_IN_BURSTS:,}"
                    )
            if stage.profile == "goodput" and self.slo is None:
                raise ValueError("profile goodput needs slo, the objectives that it searches for")
            if stage.profile == "bursts" and not isinstance(self.data, SyntheticText):
                raise ValueError("profile bursts needs data of kind synthetic_text")
            if stage.ramp_seconds >= self.max_seconds:
                raise ValueError(
                    f"ramp_seconds ({stage.ramp_seconds:g}) must be below max_seconds "
                    f"({self.max_seconds:g})"
                )
        return self

    @property
    def plan(self) -> tuple[Stage, ...]:
        """The stages in the planner's form."""
        return tuple(stage.plan(self.repeat) for stage in self.stages)

    @property
    def needs_hub(self) -> bool:
        """Whether its data is fetched from the Hugging Face Hub at run time."""
        return isinstance(self.data, HubDataset) and not self.data.source.startswith("/")

    @property
    def planned(self) -> tuple[str, ...]:
        """Names of all points, in the order in which they run."""
        return planned_names(self.plan)

    @property
    def request_tokens(self) -> int | None:
        """Tokens in and out of a request; None when they depend on the data."""
        if not isinstance(self.data, SyntheticText):
            return None
        return self.data.prompt_tokens + self.data.output_tokens

    @property
    def host_files(self) -> tuple[str, ...]:
        """Files and folders that have to be on the host."""
        if isinstance(self.data, (DataFile, ImageFolder)):
            return (self.data.path,)
        if isinstance(self.data, HubDataset) and self.data.source.startswith("/"):
            return (self.data.source,)
        return ()

    @property
    def deadline_seconds(self) -> float:
        """Time limit for all points together, in seconds."""
        total = 0.0
        for number, stage in enumerate(self.plan, start=1):
            process = Point("", stage.kind, stage=number if stage.in_one_process else None)
            load = load_seconds(process, self.plan, self.max_seconds)
            processes = 1 if stage.in_one_process else most_points(stage)
            total += stage.repeat * processes * longest_seconds(load, self.overhead_seconds)
        return total

    @property
    def record(self) -> ScenarioRecord:
        """The scenario in the form that the program on the host reads."""
        return ScenarioRecord(
            name=self.name,
            description=self.description,
            stages=self.plan,
            # Leave GuideLLM's defaults to GuideLLM.
            data=guidellm_keys(self.data),
            max_seconds=self.max_seconds,
            max_requests=self.max_requests,
            warmup_seconds=self.warmup_seconds,
            overhead_seconds=self.overhead_seconds,
            min_completed=self.min_completed,
            max_error_rate=self.max_error_rate,
            sample_size=self.sample_size,
            seed=self.seed,
            worker_processes=self.worker_processes,
            slo=None if self.slo is None else self.slo.model_dump(exclude_none=True),
        )


def load_scenario(name: str, folder: Path) -> Scenario:
    """Read and validate a scenario.

    + name: name of a file in ``folder`` without ``.yaml``, or a path
    + folder: ``benchmarks/`` of the playbook

    Raises :class:`~rocminfra.settings.problems.SettingsError` for a missing scenario, or with every
    problem found, each with file, line and the nearest known key.
    """
    path = (
        Path(name) if "/" in name or name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    )
    known = scenario_names(folder)
    if not path.is_file() or (path.parent == folder and path.stem in NOT_SCENARIOS):
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        what = f"no scenario {name!r}; {folder} has {', '.join(known) or 'none'}"
        raise SettingsError([Problem("bench.scenario", what, close[0] if close else None)])
    located = _read(path, folder)
    try:
        return Scenario.model_validate({"name": path.stem, **located.data})
    except ValidationError as error:
        raise SettingsError(
            [_problem(item, located) for item in error.errors(include_url=False)]
        ) from None


def _read(path: Path, folder: Path, above: tuple[str, ...] = ()) -> Located:
    """The keys of a scenario's file, over those of the scenario that it is based on.

    + above: scenarios that are based on this one, on which it cannot be based itself
    """
    located = read_yaml(path)
    if BASED_ON not in located.data:
        return located
    name = located.data.pop(BASED_ON)
    above = (*above, path.stem)
    bases = [name for name in scenario_names(folder) if name not in above]
    if name not in bases:
        what = f"{name!r} cannot be a base here; {folder} has {', '.join(bases) or 'none'}"
        close = difflib.get_close_matches(str(name), bases, n=1, cutoff=0.5)
        where = located.where(BASED_ON)
        raise SettingsError([Problem(BASED_ON, what, close[0] if close else None, where)])
    base = _read(folder / f"{name}.yaml", folder, above)
    return Located(located.name, {**base.data, **located.data}, located.lines)


def scenario_names(folder: Path) -> tuple[str, ...]:
    """Names of the scenarios in a folder, sorted."""
    return tuple(
        sorted(path.stem for path in folder.glob("*.yaml") if path.stem not in NOT_SCENARIOS)
    )


def _problem(item: Any, located: Located) -> Problem:
    # Pydantic puts the kind of data between `data` and its key; the file has no such key.
    location: Sequence[Any] = item["loc"]
    path = [
        str(part)
        for index, part in enumerate(location)
        if not (index == 1 and location[0] == "data" and part in DATA_KINDS)
    ]
    key = re.sub(r"\.(\d+)", r"[\1]", ".".join(path))
    where = located.where(*path)
    if item["type"] == "extra_forbidden":
        return Problem(key, "unknown key", _nearest(path, located), where)
    kind = item["type"]
    if kind == "union_tag_not_found":
        return Problem(f"{key}.kind", f"is needed: {_one_of(DATA_KINDS)}", None, where)
    if kind == "union_tag_invalid":
        tag = str(item["ctx"]["tag"])
        close = difflib.get_close_matches(tag, list(DATA_KINDS), n=1, cutoff=0.5)
        what = f"{tag!r} is no kind of data; {_one_of(DATA_KINDS)}"
        return Problem(f"{key}.kind", what, close[0] if close else None, where)
    if kind in _NO_SECTION:
        return Problem(key, "must be keys with values, 'key: value'", None, where)
    message = str(item["msg"]).removeprefix("Value error, ")
    return Problem(key, message[0].lower() + message[1:], None, where)


# What pydantic calls a value that has no keys where keys are wanted.
_NO_SECTION = ("model_type", "model_attributes_type", "dict_type")


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"


def _nearest(path: Sequence[str], located: Located) -> str | None:
    section: type[Section] = Scenario
    if path[0] == "stages":
        section = ScenarioStage
    elif path[0] == "slo" and len(path) > 1:
        section = Slo
    elif path[0] == "data" and len(path) > 1:
        section = DATA_KINDS[located.data["data"]["kind"]]
    close = difflib.get_close_matches(path[-1], list(section.model_fields), n=1, cutoff=0.6)
    return close[0] if close else None
