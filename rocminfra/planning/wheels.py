"""Whether a folder of wheels is enough to install something from it, without any index.

Pure: the look at the folder is made elsewhere. Judged as pip would, but for one thing: where the
folder has several versions of a package, pip chooses, so what they need in turn is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import (
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import Version

# https://peps.python.org/pep-0600/: the older names of three manylinux tags, by glibc's version.
_ALIASES = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
_OLDEST_GLIBC_ELSEWHERE = 17
_KINDS = {
    "missing": "there is no such folder on the host",
    "other": "it is no folder",
    "unreadable": "it cannot be read",
}


@dataclass(frozen=True)
class Wheel:
    """A file that ends in .whl.

    + file: its name
    + requires: Requires-Dist of its METADATA; None when it is damaged
    """

    file: str
    requires: tuple[str, ...] | None


@dataclass(frozen=True)
class WheelLook:
    """A folder of wheels, and the Python that is to install them.

    + kind: ``folder``, ``missing``, ``unreadable`` or ``other``
    + others: names of what is no wheel
    + markers: of PEP 508
    + glibc: its version; None where the host has another libc
    + problem: why there was no look
    """

    kind: str = "folder"
    wheels: tuple[Wheel, ...] = ()
    others: tuple[str, ...] = ()
    markers: Mapping[str, str] = field(default_factory=dict)
    glibc: tuple[int, int] | None = None
    problem: str = ""

    @property
    def python(self) -> str:
        """The host's Python in words, such as ``CPython 3.11 on x86_64``."""
        name = self.markers.get("platform_python_implementation", "Python")
        version = self.markers.get("python_version", "?")
        libc = (
            "glibc " + ".".join(map(str, self.glibc)) if self.glibc else "another libc than glibc"
        )
        return f"{name} {version} on {self.markers.get('platform_machine', '?')} with {libc}"


@dataclass(frozen=True)
class _Parsed:
    wheel: Wheel
    version: Version
    fits: bool


def problems(look: WheelLook, wanted: Sequence[str]) -> tuple[str, ...]:
    """Why these requirements cannot be installed from the folder alone; none when they can.

    + wanted: such as ``guidellm[vision]==0.8.1``
    """
    if look.problem:
        return (look.problem,)
    if look.kind != "folder":
        return (_KINDS.get(look.kind, look.kind),)
    if not look.wheels:
        return ("it holds no wheel",)
    return tuple(dict.fromkeys(_problems(look, wanted)))


def _problems(look: WheelLook, wanted: Sequence[str]) -> Iterator[str]:
    found = _by_name(look)
    seen: set[Requirement] = set()
    lacking: set[NormalizedName] = set()
    todo = [(Requirement(text), "") for text in wanted]
    while todo:
        requirement, by = todo.pop(0)
        if requirement in seen:
            continue
        seen.add(requirement)
        name = canonicalize_name(requirement.name)
        wheels = found.get(name, [])
        usable = [
            one
            for one in wheels
            if one.fits and requirement.specifier.contains(one.version, prereleases=True)
        ]
        if not usable:
            if name not in lacking:
                yield _missing(requirement, by, wheels, look)
            lacking.add(name)
            continue
        if len({one.version for one in usable}) > 1:
            continue
        wheel = usable[0].wheel
        if wheel.requires is None:
            yield f"{wheel.file} is damaged: its metadata cannot be read"
            continue
        todo += [(needed, wheel.file) for needed in _needed(wheel, requirement.extras, look)]


def _needed(wheel: Wheel, extras: set[str], look: WheelLook) -> Iterator[Requirement]:
    for text in wheel.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # pip says what it thinks of it
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate({**look.markers, "extra": extra}) for extra in ("", *extras)
        ):
            requirement.marker = None
            yield requirement


def _missing(requirement: Requirement, by: str, wheels: Sequence[_Parsed], look: WheelLook) -> str:
    needs = f", which {by} needs" if by else ""
    fitting = [one for one in wheels if one.fits]
    if fitting:
        versions = ", ".join(str(one.version) for one in fitting)
        return f"no wheel of {requirement}{needs}: it holds {versions}"
    if wheels:
        files = ", ".join(one.wheel.file for one in wheels)
        return f"{files} is for another Python or machine"
    name = requirement.name.lower().replace("_", "-")
    source = [one for one in look.others if one.lower().replace("_", "-").startswith(f"{name}-")]
    if source:
        return f"no wheel of {requirement}{needs}: {source[0]} is no wheel"
    return f"no wheel of {requirement}{needs}"


def _by_name(look: WheelLook) -> dict[NormalizedName, list[_Parsed]]:
    tags = frozenset(_tags(look))
    found: dict[NormalizedName, list[_Parsed]] = {}
    for wheel in look.wheels:
        try:
            name, version, _, of_wheel = parse_wheel_filename(wheel.file)
        except InvalidWheelFilename:
            continue  # neither would pip look at it
        found.setdefault(name, []).append(_Parsed(wheel, version, not tags.isdisjoint(of_wheel)))
    return found


def _tags(look: WheelLook) -> Iterator[Tag]:
    """Tags of wheels that the host's Python installs."""
    major, _, minor = look.markers["python_version"].partition(".")
    version = (int(major), int(minor))
    platforms = list(_platforms(look))
    own = f"cp{major}{minor}"
    if look.markers["implementation_name"] == "cpython":
        yield from cpython_tags(version, [own], platforms)
        yield from compatible_tags(version, own, platforms)
    else:
        yield from compatible_tags(version, None, platforms)


def _platforms(look: WheelLook) -> Iterator[str]:
    machine = look.markers["platform_machine"]
    if look.glibc is not None:
        major, newest = look.glibc
        for minor in range(newest, _OLDEST_GLIBC.get(machine, _OLDEST_GLIBC_ELSEWHERE) - 1, -1):
            yield f"manylinux_{major}_{minor}_{machine}"
            if (major, minor) in _ALIASES:
                yield f"{_ALIASES[major, minor]}_{machine}"
    yield f"linux_{machine}"
