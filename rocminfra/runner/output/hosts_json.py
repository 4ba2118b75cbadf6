"""What verbs of day two answered, host by host, as ``schemas/*.json`` publish it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rocminfra import __version__
from rocminfra.failure import Failure, most_severe
from rocminfra.runner.hosts.asking import Answered
from rocminfra.runner.output.run_json import SCHEMA_VERSION, failure_document

T = TypeVar("T")


def hosts_document(
    verb: str,
    answers: Sequence[Answered[T]],
    body: Callable[[T | None], Mapping[str, Any]],
    error: Failure | None = None,
) -> dict[str, Any]:
    """The document of a verb that asks hosts.

    + body: a host's own keys, of its answer
    + error: why no host could be asked
    """
    codes = [answered.code for answered in answers]
    if error is not None:
        codes.append(error.kind)
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": verb,
        "code": int(most_severe(codes)),
        "hosts": [
            {
                "name": answered.name,
                **body(answered.answer),
                "failures": [failure_document(failure) for failure in answered.failures],
            }
            for answered in answers
        ],
        "error": None if error is None else failure_document(error),
    }
