"""Manifests of result folders in sha256sum's format.

Check one by hand with ``sha256sum -c MANIFEST.sha256``. Standard library only: this module also
runs on the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MANIFEST = "MANIFEST.sha256"
# Marks a host's results as incomplete; lists what is missing, one item per line.
PARTIAL = "PARTIAL"
# Folder of a run's report, which is made afterwards and made again at will: no manifest covers it,
# and no host's folder has this name.
REPORT = "report"

_LINE = re.compile(r"^([0-9a-f]{64}) [ *](.+)$")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")


class ManifestError(ValueError):
    """A manifest that cannot be trusted; the message names the line."""


def format_manifest(digests: Mapping[str, str]) -> str:
    """Text of a manifest, sorted by path.

    + digests: SHA-256 in hexadecimal, by path relative to the manifest's folder

    Raises :class:`ManifestError` for a path that could lead out of the folder or that sha256sum
    would escape.
    """
    for path in digests:
        check_path(path)
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))


def parse_manifest(text: str) -> dict[str, str]:
    """Digests by path; the inverse of :func:`format_manifest`.

    Raises :class:`ManifestError` for a malformed line, an unsafe path or a duplicate path.
    """
    digests: dict[str, str] = {}
    # Not splitlines(): it also splits at characters that a path may contain.
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        match = _LINE.match(line)
        if match is None:
            raise ManifestError(
                f"line {number} of the manifest is not in sha256sum's format: {line!r}"
            )
        digest, path = match.groups()
        check_path(path)
        if path in digests:
            raise ManifestError(f"line {number} of the manifest names {path} again")
        digests[path] = digest
    return digests


def check_path(path: str) -> str:
    """Return ``path`` if it stays inside the folder that it is relative to.

    Raises :class:`ManifestError` for anything else: absolute, with ``..``, not normalised, or
    with control characters or backslashes.
    """
    # A run may have thousands, and each is checked several times: no pathlib here.
    if any(part in ("", ".", "..") for part in path.split("/")) or _UNSAFE.search(path):
        raise ManifestError(f"unsafe path {path!r}")
    return path


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """Differences between a folder and its manifest, one per line; empty if there are none.

    + expected: digests in the manifest, by path
    + found: digests of the existing files except the manifest, by path
    """
    problems: list[str] = []
    for path in sorted(set(expected) | set(found)):
        if path not in found:
            problems.append(f"{path}: missing")
        elif path not in expected:
            problems.append(f"{path}: not in the manifest")
        elif expected[path] != found[path]:
            problems.append(
                f"{path}: SHA-256 is {found[path][:12]}…, {expected[path][:12]}… expected"
            )
    return tuple(problems)
