"""Programs and Python modules that the host has."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import FactBase, QuoteString, StringCommand

from rocminfra.planning.programs import labels


class HostPrograms(FactBase[frozenset[str]]):
    """Those of the named programs and modules that are there, as ``planning.programs.labels``."""

    @staticmethod
    def default() -> frozenset[str]:
        return frozenset()

    def command(self, programs: Sequence[str], modules: Sequence[str]) -> StringCommand:
        looked_for = [
            *((name, StringCommand("command -v", QuoteString(name))) for name in programs),
            *(
                # -I: what lies in the working folder is not the host's.
                (label, StringCommand("python3 -I -c", QuoteString(f"import {module}")))
                for label, module in zip(labels((), modules), modules, strict=True)
            ),
        ]
        # An `if` for each: a program that is missing is an answer and no error.
        return StringCommand(
            *(
                StringCommand("if", test, ">/dev/null 2>&1; then echo", QuoteString(name), "; fi;")
                for name, test in looked_for
            ),
            "true",
        )

    def process(self, output: list[str]) -> frozenset[str]:
        return frozenset(line.strip() for line in output)


class KernelEnforcesAppArmor(FactBase[bool]):
    """Whether AppArmor is on in the host's kernel."""

    @staticmethod
    def default() -> bool:
        return False

    def command(self) -> str:
        file = "/sys/module/apparmor/parameters/enabled"
        return f"! test -e {file} || cat {file}"

    def process(self, output: list[str]) -> bool:
        return output[:1] == ["Y"]
