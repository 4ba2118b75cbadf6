"""What a host answered, told from everything else that its login shell prints.

A login shell may greet, complain about a locale, or say goodbye; none of that is an answer. So a
command prints one line before its output and one after it, and what stands between is its answer.
The lines never change, so that the same question is always the same text.
"""

from __future__ import annotations

from collections.abc import Sequence

BEGIN = "--- rocminfra: answer ---"
END = "--- rocminfra: end ---"

# An empty line first: what was printed before may end without one. In a shell of its own, a script
# may exit.
_HEAD = f"printf '\\n%s\\n' '{BEGIN}'; ( "
_TAIL = f"); rocminfra_status=$?; printf '\\n%s\\n' '{END}'; ( exit $rocminfra_status )"
# A script with one of these may need a line of its own: comments, here documents, `… &`.
_LINES = ("\n", "#")
_ENDS = (";", "&", "|", "\\")


def framed(script: str) -> str:
    """A shell script that does the same and marks its output; framed once is enough."""
    if is_framed(script):
        return script
    lines = any(sign in script for sign in _LINES) or script.rstrip(" ").endswith(_ENDS)
    return "".join((_HEAD, script, "\n" if lines else " ", _TAIL))


def is_framed(script: str) -> bool:
    """Whether a script marks its output already."""
    return script.startswith(_HEAD)


def answer(lines: Sequence[str]) -> list[str] | None:
    """The answer's lines, without what was printed around it; None when there is no answer.

    + lines: all that the host printed on standard output
    """
    plain = [line.rstrip("\r") for line in lines]
    if BEGIN not in plain or END not in plain:
        return None
    first = plain.index(BEGIN) + 1
    # The answer may hold such a line itself, as a file's text.
    last = len(plain) - 1 - plain[::-1].index(END)
    if last < first:
        return None
    found = list(lines[first:last])
    # The empty line before the end mark belongs to it.
    if found and plain[last - 1] == "":
        found.pop()
    return found


def said_besides(lines: Sequence[str]) -> list[str]:
    """What the host printed before an answer, or all of it when there is none; no empty lines."""
    plain = [line.strip() for line in lines]
    before = plain[: plain.index(BEGIN)] if BEGIN in plain else plain
    return [line for line in before if line]


def said_after(lines: Sequence[str]) -> list[str]:
    """What the host printed after an answer; none when there is no answer, no empty lines."""
    plain = [line.strip() for line in lines]
    after = plain[len(plain) - plain[::-1].index(END) :] if END in plain else []
    return [line for line in after if line]
