"""Which prompts a point sends: its seed, and its part of a data set.

No two points of a run send the same prompts, nor do two attempts at one: what an earlier point left
in the engine's prefix cache would flatter a later one.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.bench.points import Point, Stage, planned_names

# Further apart than there are attempts at a point, also in a run that is resumed again and again.
SEED_STEP = 1000

# Kinds of data that GuideLLM reads with the `datasets` library, and whose rows it sends in order.
_FILES = ("parquet_file", "json_file", "csv_file", "arrow_file")


@dataclass(frozen=True)
class Place:
    """The place of an attempt among all of its run.

    + number: of the point among the planned ones, from 0
    + of: number of planned points
    + earlier: earlier attempts at this point, including those of a resumed run
    """

    number: int = 0
    of: int = 1
    earlier: int = 0


def place_of(point: Point, stages: Sequence[Stage]) -> Place:
    """The place of the first attempt at a point, or of a whole stage's process.

    + point: the point
    + stages: the scenario's load profiles
    """
    planned = planned_names(stages)
    if point.stage is None:
        return Place(planned.index(point.name) if point.name in planned else 0, len(planned))
    before = planned_names(stages[: point.stage - 1])
    each = len(planned_names(stages[: point.stage])) - len(before)
    each //= stages[point.stage - 1].repeat
    return Place(len(before) + each * (point.number - 1), len(planned))


def seed(scenario_seed: int, place: Place) -> int:
    """Seed of an attempt; the scenario's own for the first attempt at the first point."""
    return scenario_seed + SEED_STEP * place.number + place.earlier


def document_pages_path(data: Mapping[str, Any], folder: str, version: int) -> str:
    """Path of a made set of document pages on the host, which says what is in it.

    + data: the scenario's data, of kind ``document_pages``
    + folder: folder of made data sets
    + version: of the program that makes them
    """
    name = f"{data['pages']}x{data['questions_per_page']}-{data['seed']}"
    return f"{folder}/document-pages-v{version}-{name}.parquet"


def guidellm_data(data: Mapping[str, Any], place: Place, made: str | None) -> dict[str, Any]:
    """The data in GuideLLM's form.

    + data: the scenario's data
    + place: of the attempt
    + made: path of the data set that was made for it, or None

    GuideLLM sends the rows of a file in order, whatever the seed: so each point begins at another
    row, and continues with the first one at the end.
    """
    if data["kind"] == "image_folder":
        values: dict[str, Any] = {
            "kind": "huggingface",
            "source": "imagefolder",
            "load_kwargs": {"data_dir": data["path"], "split": "train"},
        }
    elif made is not None:
        values = {"kind": "parquet_file", "path": made}
    else:
        values = dict(data)
    return _rotated(values, place)


def _rotated(values: dict[str, Any], place: Place) -> dict[str, Any]:
    options = dict(values.get("load_kwargs") or {})
    split = options.get("split", "train" if values["kind"] in _FILES else None)
    percent = _start_percent(place)
    if not percent or not split or not str(split).isidentifier() or options.get("streaming"):
        return values
    options["split"] = f"{split}[{percent}%:]+{split}[:{percent}%]"
    return {**values, "load_kwargs": options}


def _start_percent(place: Place) -> int:
    """Where in the data an attempt begins; attempts at a point share its part between them."""
    part = 100 / place.of
    return round(part * (place.number + (1 - 0.5**place.earlier))) % 100
