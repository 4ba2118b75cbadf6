"""The reports of what a benchmark has just brought back."""

from __future__ import annotations

from pathlib import Path

import yaml

from rocminfra.failure import FailedError
from rocminfra.planning.bench.manifest import REPORT
from rocminfra.playbook_files import playbook_root
from rocminfra.report.figures.report import Wanted, make_report
from rocminfra.runner.output.report_files import write_report
from rocminfra.runner.output.run_text import print_failure
from rocminfra.runner.output.terminal import message
from rocminfra.runner.run.results import RunResult


def reported(result: RunResult) -> list[str]:
    """Write a report for each run folder; its path, and its verdict last.

    + result: of a benchmark; several hosts of one run are one report

    Trouble with a report is reported and does not change the exit code, which says what the
    benchmark did.
    """
    # What came back was hashed as it came; a report that is made later hashes it by itself.
    verified = {
        Path(host.results_folder): host.verified for host in result.hosts if host.results_folder
    }
    lines: list[str] = []
    for run in dict.fromkeys(folder.parent for folder in verified):
        message(f"writing the report of {run}")
        try:
            report = make_report(run, Wanted(reference=_reference()), verified)
            written = write_report(report, run / REPORT)
        except FailedError as error:
            print_failure(error.failure)
        except Exception as error:
            # A fault of ours; the results are there, and hours of a GPU are in them.
            message(f"no report: {type(error).__name__}: {error}", "red")
            message(f"next: rocminfra report {run}")
        else:
            if written.why is not None:
                print_failure(written.why.failure)
            lines += [f"report: {written.best}", report.verdict]
    return lines


def _reference() -> dict[str, object] | None:
    try:
        path = playbook_root() / "benchmarks" / "reference.yaml"
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return None
    return value if isinstance(value, dict) else None
