"""The command line that was typed, to be repeated by a failure's next step.

For what fails before a run has options of its own: a wrong ``--limit``, a setting that is refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from rocminfra.failure import Again, Argument, again_words

# What the next step replaces or must never repeat; each takes a value.
_WIPE = "--wipe"
_LIMIT = "--limit"
_DATA = "--data"

_typed: list[str] | None = None


def remember(arguments: Sequence[str]) -> None:
    """Keep what was typed after ``rocminfra``."""
    global _typed
    _typed = list(arguments)


def again(step: Again, settings: Mapping[Argument, str]) -> str:
    """The whole command to repeat, as :data:`rocminfra.failure.Repeat` wants it.

    Wipe tokens are not repeated, and of data that may hold a secret only the key is.
    """
    if _typed is None:
        return again_words(step, settings)
    # Not above: the help imports this module, and the settings take longer than all of it.
    from rocminfra.settings.secret_names import shown_item

    words = ["rocminfra"]
    limited = False
    for option, value in _pairs(_typed):
        if value is None:
            words.append(option)
        elif option == _LIMIT and step.limit is not None:
            words += [] if limited else [_LIMIT, step.limit]
            limited = True
        elif option == _DATA:
            words += [_DATA, shown_item(_renamed(value, step.keys))]
        elif option != _WIPE:
            words += [option, value]
    for argument, value in step.arguments:
        words += [_DATA, f"{settings.get(argument, argument.name)}={value}"]
    if step.wipe is not None:
        words += [_WIPE, step.wipe]
    if step.yes:
        words.append("--yes")
    if step.verbose and not {"-v", "-vv", "--verbose"} & set(words):
        words.append("-v")
    return shlex.join(words)


def changed(verb: str, *, without: str | None = None, more: Sequence[str] = ()) -> str:
    """The whole command that was typed, but for one thing.

    + verb: what stands for a command that nobody typed
    + without: an option, such as ``--page``, which goes with its value, or an argument
    + more: words that come instead
    """
    words: list[str] = []
    rest = iter([verb] if _typed is None else _typed)
    for word in rest:
        if without is None or not (word == without or word.startswith(f"{without}=")):
            words.append(word)
        elif word == without and word.startswith("--"):
            next(rest, None)
    return shlex.join(["rocminfra", *words, *more])


def _pairs(words: Sequence[str]) -> list[tuple[str, str | None]]:
    """Words, the options that are looked at together with their values."""
    found: list[tuple[str, str | None]] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name not in (_LIMIT, _DATA, _WIPE):
            found.append((word, None))
        else:
            found.append((name, value if equals else next(rest, "")))
    return found


def _renamed(item: str, keys: Sequence[tuple[str, str]]) -> str:
    key, equals, value = item.partition("=")
    return f"{dict(keys).get(key, key)}{equals}{value}"
