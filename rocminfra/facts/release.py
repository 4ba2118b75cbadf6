"""The host's distribution and its Python."""

from __future__ import annotations

import re
import shlex

from rocminfra.facts.host_fact import HostFact
from rocminfra.planning.releases import OsRelease


class HostRelease(HostFact[OsRelease | None]):
    """Distribution and release, or None where no os-release(5) says."""

    def command(self) -> str:
        return "cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null || true"

    def process(self, output: list[str]) -> OsRelease | None:
        values: dict[str, str] = {}
        for line in output:
            key, equals, value = line.partition("=")
            if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
                values[key] = _unquoted(value)
        # The file's own default is Linux (os-release(5)).
        name = values.get("PRETTY_NAME") or values.get("NAME") or values.get("ID", "")
        if not name:
            return None
        return OsRelease(values.get("ID", "linux"), values.get("VERSION_ID", ""), name)


class PythonVersion(HostFact[tuple[int, int] | None]):
    """Major and minor version of ``python3``, or None where there is none that starts."""

    def command(self) -> str:
        code = "import sys; print('python3 %d.%d' % sys.version_info[:2])"
        return f'python3 -I -c "{code}" 2>/dev/null || true'

    def process(self, output: list[str]) -> tuple[int, int] | None:
        for line in output:
            found = re.fullmatch(r"python3 (\d+)\.(\d+)", line.strip())
            if found:
                return int(found[1]), int(found[2])
        return None


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value
