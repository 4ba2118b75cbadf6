"""What a failure says, for tests."""

from __future__ import annotations

from rocminfra.failure import FailedError, Failure, again_words, lines, next_words
from rocminfra.settings.argument_names import SETTING_OF


def next_of(failed: Failure | FailedError) -> str:
    """The next step as plain pyinfra prints it; empty when there is none."""
    failure = failed.failure if isinstance(failed, FailedError) else failed
    return "" if failure.next is None else next_words(failure.next, again_words, SETTING_OF)


def said(error: FailedError) -> str:
    """The whole message."""
    return "\n".join(lines(error.failure))
