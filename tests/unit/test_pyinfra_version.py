"""pyinfra is pinned to the minor versions that are tested.

Private names of it are used, which any minor version may change: an operation's ``_inner``, the
modules of ``pyinfra_cli``, and what the connector imports from ``pyinfra.connectors.util``.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]

# To add one: install it, run `make test`, then add it here and widen the range in pyproject.toml.
TESTED = {"3.10"}


def required() -> Requirement:
    """What pyproject.toml asks for."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (found,) = re.findall(r'^    "(pyinfra[<>=!~].*)",$', text, re.MULTILINE)
    return Requirement(found)


def test_the_installed_pyinfra_is_a_tested_one() -> None:
    installed = Version(importlib.metadata.version("pyinfra"))
    assert f"{installed.major}.{installed.minor}" in TESTED, (
        f"pyinfra {installed} is installed, but rocminfra uses private names and is tested with "
        f"{', '.join(sorted(TESTED))} only. Install a tested version: pip install '{required()}'. "
        "Or try this one: run `make test`, then add it to TESTED and to pyproject.toml."
    )


def test_only_tested_minor_versions_can_be_installed() -> None:
    specifier = required().specifier
    majors = range(Version(max(TESTED)).major + 2)
    minors = {f"{major}.{minor}" for major in majors for minor in range(100)}
    assert {minor for minor in minors if f"{minor}.0" in specifier} == TESTED
    # Later releases of a tested minor version are fixes.
    assert all(f"{minor}.99" in specifier for minor in TESTED)
