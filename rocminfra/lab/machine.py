"""What this machine is configured for: its distribution, apt sources, CA certificates, pip.

A droplet gets the same, so that apt and pip work inside wherever they work outside. The mirror is
whatever apt says; no host is named here.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault

# Debian's names of architectures (dpkg-architecture(1)) for what uname says.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
_COMPONENTS = ("main", "universe")
ORIGINS = ("Debian", "Ubuntu")
_DEBOOTSTRAP_TAKES = ("http://", "https://", "file:", "copy:")
# `pip config list` prints the sources from weak to strong, but not in a fixed order.
_PIP_SECTIONS = ("global", "install", "download", ":env:")
# Settings that concern the user's own environment or its cache, and not where packages are.
_PIP_PRIVATE = {"cache-dir", "require-virtualenv", "user", "target", "prefix", "log", "python"}


@dataclass(frozen=True)
class Release:
    """Distribution of this machine, and so of the droplets.

    + distribution: such as ``debian``
    + codename: such as ``bookworm``
    + architecture: Debian's name, such as ``amd64``
    """

    distribution: str
    codename: str
    architecture: str


def release(os_release: Path = Path("/etc/os-release")) -> Release:
    """This machine's distribution.

    Raises :class:`FailedError` on one that debootstrap does not know.
    """
    values: dict[str, str] = {}
    try:
        text = os_release.read_text(encoding="utf-8")
    except OSError as error:
        raise FailedError(
            Fault.LAB_MACHINE_UNFIT, f"cannot tell this machine's distribution: {error}"
        ) from None
    for line in text.splitlines():
        key, _, value = line.partition("=")
        values[key] = value.strip().strip("\"'")
    codename = values.get("VERSION_CODENAME", "")
    like = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".split()
    if not codename or not {"debian", "ubuntu"} & set(like):
        raise FailedError(
            Fault.LAB_MACHINE_UNFIT,
            f"the lab needs Debian or Ubuntu; this machine is {values.get('PRETTY_NAME', '?')}",
            next=Do("run it in a Debian virtual machine"),
        )
    machine = platform.machine()
    return Release(values["ID"], codename, _ARCHITECTURES.get(machine, machine))


@dataclass(frozen=True)
class Mirror:
    """Where this machine's apt gets its distribution.

    + uri: such as ``http://203.0.113.7/debian``
    + components: those that a base root needs (Ubuntu has some packages in ``universe``)
    """

    uri: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """One part of an archive that this machine's apt knows.

    + uri: of the archive, without a slash at its end
    + suite: such as ``bookworm-updates``
    + component: such as ``main``
    + origin: whose archive it says it is; empty until its index has been fetched
    """

    uri: str
    suite: str
    component: str
    origin: str


def index_targets() -> str:
    """What this machine's apt knows: lines of ``URI SUITE COMPONENT ORIGIN``.

    Raises :class:`FailedError` where there is no apt.
    """
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    try:
        return subprocess.run(
            ["apt-get", "indextargets", "--format", form],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
    except FileNotFoundError:
        raise FailedError(
            Fault.LAB_MACHINE_UNFIT, "apt-get is not installed; the lab needs Debian or Ubuntu"
        ) from None


def parse_targets(listed: str) -> tuple[Target, ...]:
    """The lines of :func:`index_targets` that debootstrap can use."""
    lines = [line.split() for line in listed.splitlines()]
    return tuple(
        Target(words[0].rstrip("/"), words[1], words[2], words[3] if words[3:] else "")
        for words in lines
        if len(words) >= 3 and words[0].startswith(_DEBOOTSTRAP_TAKES)
    )


def mirror(codename: str) -> Mirror:
    """Where this machine's apt gets ``codename``.

    Raises :class:`FailedError` when apt has no such source.
    """
    return parse_mirror(index_targets(), codename)


def parse_mirror(listed: str, codename: str) -> Mirror:
    """The mirror in a list of ``URI SUITE COMPONENT ORIGIN`` lines; see :func:`mirror`.

    The origin is known once the index has been fetched; other people's archives have codenames of
    the distribution too, so that the distribution's own comes first.
    """
    components: dict[str, list[str]] = {}
    own: list[str] = []
    for target in parse_targets(listed):
        if target.suite != codename:
            continue
        components.setdefault(target.uri, []).append(target.component)
        if target.origin in ORIGINS:
            own.append(target.uri)
    for uri in (*own, *components):
        if "main" in components[uri]:
            return Mirror(uri, tuple(name for name in _COMPONENTS if name in components[uri]))
    raise FailedError(
        Fault.LAB_MACHINE_UNFIT,
        f"this machine's apt has no source for {codename}",
        next=Do("add one to /etc/apt/sources.list.d/, then: apt-get update"),
    )


def apt_files(etc: Path = Path("/etc/apt")) -> dict[str, bytes]:
    """Files of apt's configuration that a droplet needs: path in the droplet and contents.

    Sources and their keys; no preferences, which concern packages of this machine.
    """
    found: dict[str, bytes] = {}
    sources = [etc / "sources.list", *_files(etc / "sources.list.d", (".list", ".sources"))]
    for path in sources:
        if path.is_file():
            found[f"/etc/apt/{path.relative_to(etc)}"] = path.read_bytes()
    keys = [*_files(etc / "keyrings"), *_files(etc / "trusted.gpg.d")]
    for key in (etc / "trusted.gpg", *keys):
        if key.is_file():
            found[f"/etc/apt/{key.relative_to(etc)}"] = key.read_bytes()
    for source in list(found.values()):
        for named in re.findall(rb"(?im)^\s*Signed-By:\s*(/\S+)|signed-by=(/[^\s\]]+)", source):
            file = Path((named[0] or named[1]).decode())
            if file.is_file():
                found[str(file)] = file.read_bytes()
    return found


def apt_acquire() -> str:
    """This machine's ``Acquire::`` settings (proxies, time-outs, checks) as an apt.conf text."""
    result = subprocess.run(
        ["apt-config", "dump"], check=False, capture_output=True, text=True, timeout=60
    )
    passed_over = ("Acquire::IndexTargets", "Acquire::Changelogs", "Acquire::cdrom")
    return "".join(
        f"{line}\n"
        for line in result.stdout.splitlines()
        if line.startswith("Acquire::")
        and not line.startswith(passed_over)
        and not line.endswith(' "";')
    )


def certificates(folder: Path = Path("/usr/local/share/ca-certificates")) -> dict[str, bytes]:
    """This machine's own CA certificates: path in the droplet and contents."""
    if not folder.is_dir():
        return {}
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.crt"))}


def proxies(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Proxy variables of this shell, for the droplet's ``/etc/environment``."""
    environ = os.environ if environ is None else environ
    names = ("http_proxy", "https_proxy", "no_proxy", "ftp_proxy", "all_proxy")
    wanted = {*names, *(name.upper() for name in names)}
    return {name: value for name, value in environ.items() if name in wanted and value}


def pip_settings() -> dict[str, str]:
    """This machine's pip settings, files and ``PIP_*`` variables, the stronger ones winning."""
    for command in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip3"]):
        try:
            result = subprocess.run(
                [*command, "config", "list"],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
        except FileNotFoundError:
            continue
        if result.returncode == 0:
            return parse_pip_settings(result.stdout)
    return {}


def parse_pip_settings(text: str) -> dict[str, str]:
    """Settings in the output of ``pip config list``; lists have one value a line."""
    found: dict[str, dict[str, str]] = {section: {} for section in _PIP_SECTIONS}
    for line in text.splitlines():
        match = re.match(r"(:env:|[a-z]+)\.([A-Za-z0-9_-]+)=(.+)$", line.strip())
        if match is None or match[1] not in found:
            continue
        key = match[2].lower().replace("_", "-")
        if key in _PIP_PRIVATE:
            continue
        try:
            value = ast.literal_eval(match[3])
        except (ValueError, SyntaxError):
            continue
        found[match[1]][key] = str(value).strip()
    merged: dict[str, str] = {}
    for section in _PIP_SECTIONS:
        merged.update(found[section])
    return merged


def pip_conf(settings: Mapping[str, str], cache_dir: str) -> str:
    """Text of a ``pip.conf`` with ``settings``.

    + cache_dir: pip's cache inside the droplet
    """
    lines = ["[global]", f"cache-dir = {cache_dir}"]
    for key in sorted(settings):
        values = settings[key].split()
        if len(values) == 1:
            lines.append(f"{key} = {values[0]}")
        elif values:
            lines += [f"{key} =", *(f"    {value}" for value in values)]
    return "\n".join(lines) + "\n"


def local_paths(settings: Mapping[str, str]) -> tuple[Path, ...]:
    """Existing local folders and files that pip's settings need, without those in others.

    + settings: pip's settings; a local index needs the folder above its pages as well, because
      they link to files beside them (``simple/NAME/index.html`` to ``../../files/…``)
    """
    named = set()
    for key, value in settings.items():
        for word in value.split():
            path = Path(word.removeprefix("file://")) if word.startswith("file://") else Path(word)
            if not path.is_absolute() or not path.exists():
                continue
            is_index = key in ("index-url", "extra-index-url")
            # Never a folder of the system: /srv, say, would hide the droplet's own.
            named.add(path.parent if is_index and len(path.parent.parts) > 2 else path)
    # The droplet has certificates of its own, this machine's included.
    own = Path("/etc/ssl")
    paths = sorted(path for path in named if path != own and own not in path.parents)
    return tuple(path for path in paths if not any(other in path.parents for other in paths))


def _files(folder: Path, suffixes: Iterable[str] = ()) -> list[Path]:
    if not folder.is_dir():
        return []
    wanted = tuple(suffixes)
    return [path for path in sorted(folder.iterdir()) if not wanted or path.suffix in wanted]
