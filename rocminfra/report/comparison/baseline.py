"""A baseline: the figures that a run must not fall behind, as a file in a repository."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.comparison.compare import Change, Comparison
from rocminfra.report.comparison.subject import Subject

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Check:
    """One figure, or one load, against the baseline.

    + suite: the host
    + problem: why it fails; None when it does not
    + skipped: why it was not checked
    """

    suite: str
    name: str
    problem: str | None = None
    skipped: str | None = None


def baseline_text(hosts: Sequence[Subject]) -> str:
    """Contents of a baseline file."""
    document = {
        "schema": VERSION,
        "run": hosts[0].name,
        "hosts": [dataclasses.asdict(host) for host in hosts],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_baseline(path: Path) -> tuple[Subject, ...]:
    """The hosts of a baseline.

    Raises :class:`FailedError` for a file that is none.
    """

    def refuse(text: str) -> NoReturn:
        raise ValueError(f"{text} is no number")

    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
        if not isinstance(document, dict) or document.get("schema") != VERSION:
            raise ValueError(f"it is no baseline of version {VERSION}")
        hosts = TypeAdapter(tuple[Subject, ...]).validate_python(document.get("hosts"))
        if not hosts or not any(point.figures for host in hosts for point in host.points):
            raise ValueError("it holds no figures")
    except FileNotFoundError:
        _unusable(path, "there is no such file")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        _unusable(path, f"hosts.{where}: {first['msg']}")
    except (OSError, ValueError, RecursionError) as error:
        _unusable(path, str(error))
    return hosts


def checks(comparison: Comparison) -> tuple[Check, ...]:
    """What a comparison with the baseline means: a check a figure, or a load without figures."""
    suite = comparison.host or comparison.after
    if comparison.refusals:
        return tuple(Check(suite, "comparable", why) for why in comparison.refusals)
    found = [
        Check(suite, f"{point.label}: {change.title}", _problem(change))
        for point in comparison.points
        for change in point.changes
    ]
    found += [Check(suite, key, f"missing: {why}") for key, why in comparison.missing.items()]
    found += [Check(suite, key, skipped=why) for key, why in comparison.skipped.items()]
    if not comparison.points:
        found.append(Check(suite, "comparable", "no load of the baseline was measured again"))
    return tuple(found)


def _problem(change: Change) -> str | None:
    if change.verdict == "missing":
        return f"missing: the baseline has {change.before:.4g} {change.unit}, the run none"
    if change.verdict != "worse":
        return None
    return (
        f"{change.after:.4g} {change.unit} instead of {change.before:.4g}: "
        f"{change.change:+.1%}, beyond the noise of {change.band:.1%}"
    )


def _unusable(path: Path, why: Any) -> NoReturn:
    raise FailedError(
        Fault.BASELINE_UNUSABLE,
        f"the baseline cannot be used: {path}",
        (str(why),),
        Do(f"rocminfra report gate RUN --baseline {path} --update, with a run that is good"),
    )
