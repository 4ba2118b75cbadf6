"""What a CI job shows beside its log: the step summary of GitHub (``GITHUB_STEP_SUMMARY``)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.report.table import lines, read_table
from rocminfra.runner.output.junit import Case

VARIABLE = "GITHUB_STEP_SUMMARY"


def append(environ: Mapping[str, str], title: str, text: Sequence[str]) -> None:
    """Append a section where CI asks for one; a summary that cannot be written fails nothing."""
    path = environ.get(VARIABLE, "").strip()
    if not path or not text:
        return
    block = "\n".join(["", f"### {title}", "", "```", *text, "```", ""])
    with contextlib.suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
        file.write(block)


def case_lines(cases: Sequence[Case]) -> list[str]:
    """A line a host, and one for everything that went wrong."""
    found = []
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        wrong = [case for case in own if case.problem is not None]
        found.append(f"{suite}: {len(own) - len(wrong)} of {len(own)} well")
        for case in wrong:
            first = (case.problem or "").splitlines()[:1]
            found.append(f"  {case.name}: {first[0] if first else 'failed'}")
    return found


def run_folders(results: Path) -> list[Path]:
    """Folders of benchmark runs."""
    if not results.is_dir():
        return []
    return sorted(path.parent for path in results.glob(f"*/{MANIFEST}"))


def measured(runs: Sequence[Path]) -> list[str]:
    """The tables of runs, for people."""
    found: list[str] = []
    for run in dict.fromkeys(runs):
        with contextlib.suppress(OSError, ValueError, KeyError):
            found += [*lines(read_table(run)), f"results: {run}"]
    return found
