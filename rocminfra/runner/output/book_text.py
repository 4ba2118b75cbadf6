"""A host's book of runs, and its lock, for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rocminfra.runner.hosts.asking import Answered
from rocminfra.runner.hosts.book import Event, Holder, Run
from rocminfra.runner.output.terminal import duration, styled

_STYLES = {"done": "green", "failed": "red", "running": "blue"}


def print_events(answers: Sequence[Answered[tuple[Event, ...]]], verbose: bool) -> None:
    """Events of every host, oldest first.

    + verbose: also the operations that changed something
    """
    for answered in answers:
        if answered.answer is None:
            continue
        print(styled(answered.name, "bold", sys.stdout))
        if not answered.answer:
            print("  nothing was applied here")
        for event in answered.answer:
            print(f"  {_line(event)}")
            if isinstance(event, Run):
                for text in event.failures:
                    print(f"      ! {text}")
                for name in event.changed if verbose else ():
                    print(f"      + {name}")


def print_locks(answers: Sequence[Answered[Holder | None]], asked: Sequence[str]) -> None:
    """Who holds the lock of every host.

    + asked: hosts that could be asked
    """
    for answered in answers:
        if answered.name in asked:
            print(f"{answered.name}: {holder_words(answered.answer)}")


def holder_words(holder: Holder | None) -> str:
    """Who holds a lock, in words."""
    if holder is None:
        return "free"
    return f"{holder.command}, by {holder.owner}, since {_moment(holder.since)}"


def _line(event: Event) -> str:
    if not isinstance(event, Run):
        head = f"{_moment(event.time)}  {event.owner}  broke the lock of {event.holder}"
        return f"{head}: {event.reason}"
    outcome = styled(_outcome(event), _STYLES.get(event.outcome, "yellow"), sys.stdout)
    began = _moment(event.began or event.ended or "")
    return f"{began}  {event.owner or '?'}  {event.command or '?'}  {outcome}"


def _outcome(run: Run) -> str:
    if run.outcome == "unknown":
        return "did not end"
    words = run.outcome
    if run.seconds is not None:
        words += f" after {duration(run.seconds)}"
    return f"{words}, {len(run.changed)} changed" if run.ended is not None else words


def _moment(time: str) -> str:
    return time.replace("T", " ")
