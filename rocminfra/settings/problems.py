"""What is wrong with somebody's settings, in words and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rocminfra.failure import Again, Failure, Fault


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the settings.

    + key: dotted key, such as ``vllm.max_num_seqs``
    + what: what is wrong with it
    + hint: nearest known key, or None
    + where: file and line, variable or option it was read from, or None
    + keys: the keys that a rule between several is about, the first one to change first
    """

    key: str
    what: str
    hint: str | None = None
    where: str | None = None
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.key}: {self.what}" if self.key else self.what
        text = f"{self.where}: {text}" if self.where else text
        return f"{text} (did you mean {self.hint}?)" if self.hint else text


class RuleBroken(ValueError):
    """Values that are fine alone and not together.

    + keys: dotted keys of the rule, the one most likely to change first
    """

    def __init__(self, what: str, *keys: str) -> None:
        self.keys = keys
        super().__init__(what)


class SettingsError(ValueError):
    """Settings that cannot be used; carries every problem, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))


def in_words(value: object) -> str:
    """A refused value with its type, because ``8000`` and ``"8000"`` look the same."""
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, int | float):
        # Not as it would be in quotes: 022 may have been typed, and 22 been read.
        return f"the number {value} (a text is written in quotes)"
    if isinstance(value, str):
        return f'the text "{value}"'
    return kind_of(value)


def kind_of(value: object) -> str:
    """Only the type of a refused value, where the value may be a secret."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number (a text is written in quotes)"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "a section with keys"
    if isinstance(value, Sequence):
        return "a list"
    return f"a {type(value).__name__}"


def refusal(
    problems: Sequence[str],
    keys: Sequence[tuple[str, str]] = (),
    fault: Fault = Fault.SETTINGS_INVALID,
) -> Failure:
    """The failure of settings that cannot be used: what, each of them, and the next step.

    + problems: a line each, with where it was read
    + keys: keys of the command line whose right name is known, (given, meant)
    + fault: which one of the catalogue
    """
    first = "" if len(keys) == len(problems) else "correct it; then"
    following = Again(first, keys=tuple(keys))
    if len(problems) == 1:
        return Failure(fault, problems[0], (), following)
    return Failure(fault, f"{len(problems)} settings cannot be used", tuple(problems), following)
