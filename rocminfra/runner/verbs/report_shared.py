"""What the verbs below ``rocminfra report`` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.planning.bench.manifest import REPORT
from rocminfra.playbook_files import playbook_root
from rocminfra.report.figures import slo
from rocminfra.report.figures.report import Wanted
from rocminfra.report.reading.runs import LAST, find_run
from rocminfra.runner.output.run_json import dump, error_document

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout")


def slo_option(command: F) -> F:
    """``--slo``."""
    return click.option(
        "--slo",
        metavar="LIMITS",
        default=slo.DEFAULT,
        show_default=True,
        help="objectives, such as ttft_p95=2s,itl_p95=100ms,e2e_p99=30s",
    )(command)


def price_option(command: F) -> F:
    """``--usd-per-hour``."""
    return click.option(
        "--usd-per-hour",
        type=click.FloatRange(0, min_open=True),
        default=None,
        help="price of a host [default: that of its settings when it was measured]",
    )(command)


def wanted(slo_text: str, usd_per_hour: float | None, with_prediction: bool = True) -> Wanted:
    """What the options ask for; raises :class:`FailedError` for objectives that are none."""
    return Wanted(slo.parse(slo_text), reference(), usd_per_hour, with_prediction)


def reference() -> Mapping[str, Any]:
    """The published figures, ``benchmarks/reference.yaml``.

    Raises :class:`FailedError` when the file cannot be read.
    """
    path = playbook_root() / "benchmarks" / "reference.yaml"
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise FailedError(
            Fault.PLAYBOOK_FILE_MISSING,
            f"the published figures cannot be read: {path}",
            (str(error),),
            Do("rocminfra init lays the file out again, in a new folder"),
        ) from None
    if not isinstance(value, Mapping):
        raise FailedError(Fault.PLAYBOOK_FILE_MISSING, f"{path} holds no published figures")
    return value


def answered(verb: str, as_json: bool, work: Callable[[], ExitCode]) -> ExitCode:
    """Run a verb; with ``--json`` a failure is a document too."""
    try:
        return work()
    except FailedError as error:
        if not as_json:
            raise
        print(dump(error_document(verb, error)))
        return error.failure.kind


def run_folder(text: str) -> Path:
    """A run's folder from the command line: a path, a run's id below ``results/``, or ``last``.

    Raises :class:`FailedError` when there is no last one.
    """
    if text == LAST:
        return find_run(LAST, Path("results"))
    path = Path(text)
    inside = Path("results") / text
    return inside if not path.exists() and inside.is_dir() else path


def default_output(folder: Path) -> Path:
    """Where the report of a run belongs.

    + folder: of the run; or of one host in it, whose own manifest covers everything below it
    """
    if (folder / "job.json").is_file():
        return folder.parent / REPORT / folder.name
    return folder / REPORT
