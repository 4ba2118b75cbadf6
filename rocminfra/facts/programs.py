"""Programs and Python modules that the host has."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact

# Names are looked up and never imported, and arguments, not code: a learned list may hold any text.
# -I: what lies in the working folder is not the host's.
_LOOK_UP = (
    "import sys, importlib.util as u; "
    "[print('python3 -m ' + n) for n in sys.argv[1:] if n.isidentifier() and u.find_spec(n)]"
)


class HostPrograms(HostFact[frozenset[str]]):
    """Those of the named programs and Python modules that are there.

    A module is called ``python3 -m NAME``, as in :mod:`rocminfra.planning.programs`.
    """

    @staticmethod
    def default() -> frozenset[str]:
        return frozenset()

    def command(self, programs: Sequence[str], modules: Sequence[str]) -> StringCommand:
        # An `if` for each: a program that is missing is an answer and no error.
        looks = [
            StringCommand(
                *("if command -v", QuoteString(name), ">/dev/null 2>&1; then echo"),
                *(QuoteString(name), "; fi;"),
            )
            for name in programs
        ]
        if modules:
            names = [QuoteString(name) for name in modules]
            looks.append(
                StringCommand("python3 -I -c", QuoteString(_LOOK_UP), *names, "2>/dev/null;")
            )
        return StringCommand(*looks, "true")

    def process(self, output: list[str]) -> frozenset[str]:
        return frozenset(line.strip() for line in output)


class KernelEnforcesAppArmor(HostFact[bool]):
    """Whether AppArmor is on in the host's kernel."""

    @staticmethod
    def default() -> bool:
        return False

    def command(self) -> str:
        file = "/sys/module/apparmor/parameters/enabled"
        return f"! test -e {file} || cat {file}"

    def process(self, output: list[str]) -> bool:
        return output[:1] == ["Y"]
