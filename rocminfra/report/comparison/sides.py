"""Which host of one run is compared with which of another."""

from __future__ import annotations

from collections.abc import Sequence

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.comparison.subject import Subject, subject
from rocminfra.report.summary import Report


def subjects(report: Report) -> tuple[Subject, ...]:
    """Each host of a run as one side."""
    return tuple(subject(report.run, host) for host in report.hosts)


def pairs(
    before: Sequence[Subject], after: Sequence[Subject]
) -> tuple[tuple[Subject, Subject], ...]:
    """Hosts that belong together: by name, or the only ones, whatever their names.

    Raises :class:`FailedError` when there are none, or when one is left over.
    """
    if len(before) == 1 and len(after) == 1:
        return ((before[0], after[0]),)
    own = {one.host: one for one in after}
    names, others = {one.host for one in before}, set(own)
    if names != others:
        raise FailedError(
            Fault.RUNS_NOT_COMPARABLE,
            "the runs have other hosts, so nobody can say which to compare with which",
            (
                f"the first has {', '.join(sorted(map(str, names)))}",
                f"the second has {', '.join(sorted(map(str, others)))}",
            ),
            Do("name the folder of one host in each, such as results/20260513T101500Z/mi300x-1"),
        )
    return tuple((one, own[one.host]) for one in before)
