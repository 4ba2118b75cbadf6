"""Data sets that are made on the host for a scenario, once, before its first point.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from rocminfra.host.bench import document_pages
from rocminfra.planning.bench import prompts
from rocminfra.planning.bench.job_record import JobRecord

KIND = "document_pages"


def path(job: JobRecord) -> str | None:
    """Path of the data set that is made for a job, or None when nothing is made for it."""
    data = job.scenario.data
    if data["kind"] != KIND:
        return None
    return prompts.document_pages_path(data, job.datasets, document_pages.VERSION)


def ensure(job: JobRecord) -> str | None:
    """Make the job's data set unless it exists. Returns None, or why it could not be made.

    + job: the job; its path says what is in the data set, so an existing one is the right one
    """
    target = path(job)
    if target is None or Path(target).exists():
        return None
    data = job.scenario.data
    command = (
        # Isolated, as GuideLLM itself.
        *(job.guidellm_python, "-I", document_pages.__file__, target),
        *("--pages", str(data["pages"]), "--questions", str(data["questions_per_page"])),
        *("--seed", str(data["seed"])),
    )
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **job.environment},
            timeout=job.scenario.overhead_seconds,
        )
    except OSError as error:
        return f"the document pages could not be made: {error}"
    except subprocess.TimeoutExpired:
        return (
            f"the document pages were not made within {job.scenario.overhead_seconds:g} s "
            "(overhead_seconds)"
        )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return f"the document pages could not be made: {said[-1] if said else 'no output'}"
    return None
