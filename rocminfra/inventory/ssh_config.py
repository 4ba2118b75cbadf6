"""What the operator's own ssh configuration says of a host.

pyinfra reads it with paramiko, which knows a part of ssh_config(5) and gets some of it wrong
(``Match``, ``ProxyJump none``). A file with more in it is therefore read by ssh itself, and pyinfra
is given a file that says the same in plain words: ssh is the yardstick.
"""

from __future__ import annotations

import atexit
import getpass
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEFAULT_FILE = "~/.ssh/config"

# Beyond what pyinfra reads rightly: conditions, canonical names, files in files, `none`, tokens and
# variables.
_MORE = re.compile(r"(?im)^\s*(match|include|canonical\w*)\b|\bnone\b|%[a-z%]|\$\{")
# What is handed on, as `ssh -G` prints it.
_KEPT = {
    "hostname": "HostName",
    "user": "User",
    "port": "Port",
    "identityfile": "IdentityFile",
    "certificatefile": "CertificateFile",
    "identityagent": "IdentityAgent",
    "proxyjump": "ProxyJump",
    "proxycommand": "ProxyCommand",
    "userknownhostsfile": "UserKnownHostsFile",
    "forwardagent": "ForwardAgent",
    "connecttimeout": "ConnectTimeout",
    "serveraliveinterval": "ServerAliveInterval",
    "stricthostkeychecking": "StrictHostKeyChecking",
}
# ssh -G calls some values otherwise than the file does.
_SPELLED = {"true": "yes", "false": "no"}
_MOST_HOPS = 8
_TIMEOUT_S = 30

_ORIGINALS: dict[str, str] = {}


class NotAcceptedError(ValueError):
    """ssh itself does not accept the file, or did not end; the text says why."""


def configured_user(host: str, config_file: str | None = None) -> str | None:
    """The ``User`` configured for ``host``, or None.

    + host: name in the configuration
    + config_file: used instead of ``~/.ssh/config``

    An unreadable or invalid file is ignored here; the error shows up when connecting.
    """
    user = _looked_up(host, config_file).get("user")
    return str(user) if user else None


def direct_place(host: str, config_file: str | None, port: int | None) -> tuple[str, int] | None:
    """Address and port that pyinfra connects to for ``host``; None where another one is between.

    + host: name in the configuration
    + config_file: used instead of ``~/.ssh/config``
    + port: given, which the one in the configuration gives way to
    """
    found = _looked_up(host, config_file)
    if {"proxyjump", "proxycommand"} & set(found):
        return None
    return str(found.get("hostname") or host), int(port or found.get("port") or 22)


def _looked_up(host: str, config_file: str | None) -> dict[str, Any]:
    """What the configuration says of a host, as pyinfra reads it; nothing of an unreadable one."""
    path = Path(config_file or DEFAULT_FILE).expanduser()
    if not path.is_file():
        return {}
    # Imported late: there is often no such file.
    from pyinfra.connectors.sshuserclient.config import SSHConfig

    config = SSHConfig()
    try:
        with path.open(encoding="utf-8") as file:
            config.parse(file)  # type: ignore[no-untyped-call]
        return dict(config.lookup(host))
    except (
        Exception
    ):  # paramiko's own errors, and a bare Exception for files that include each other
        return {}


def plain_file(host: str, config_file: str | None = None) -> str | None:
    """A configuration that says of ``host`` what ``config_file`` says, in words pyinfra knows.

    + host: as it is named in the configuration
    + config_file: instead of ``~/.ssh/config``

    None when the file needs no such help, or there is no ssh on this machine that could give it.
    Raises :class:`NotAcceptedError`.
    """
    path = Path(config_file or DEFAULT_FILE).expanduser()
    ssh = shutil.which("ssh")
    try:
        text = path.read_text(encoding="utf-8") if ssh and path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return None
    if ssh is None or not _MORE.search(text):
        return None
    sections: dict[str, str] = {}
    _describe(ssh, path, host, sections)
    written = "\n".join(sections.values())
    name = hashlib.sha256(f"{path}\n{written}".encode()).hexdigest()[:16]
    file = _folder() / name
    file.write_text(written, encoding="utf-8")
    _ORIGINALS[str(file)] = str(path)
    return str(file)


def original_file(file: str) -> str:
    """The user's own file for one that :func:`plain_file` made; any other is itself."""
    return _ORIGINALS.get(file, file)


def _describe(ssh: str, path: Path, host: str, sections: dict[str, str]) -> None:
    """Write down ``host`` and, in turn, the hosts that it is reached through."""
    if host in sections or len(sections) > _MOST_HOPS:
        return
    said = list(_asked(ssh, path, host))
    hops = [hop for key, value in said if key == "proxyjump" for hop in value.split(",")]
    names_user = _names_user(path)
    lines = [f"Host {host}"]
    for key, value in said:
        if key == "user" and value == getpass.getuser() and not names_user:
            continue  # nothing is said, so ssh would take the name of whoever runs it
        if key == "identityfile" and not Path(value).expanduser().is_file():
            continue  # one of ssh's own defaults
        if key == "stricthostkeychecking":
            value = _SPELLED.get(value, value)
        if value.lower() != "none":
            lines.append(f"  {_KEPT[key]} {value}")
    sections[host] = "\n".join(lines) + "\n"
    for hop in hops:
        name = hop.rpartition("@")[2]
        if name.count(":") == 1:
            name = name.partition(":")[0]
        if name.lower() != "none":
            _describe(ssh, path, name, sections)


def _asked(ssh: str, path: Path, host: str) -> Iterator[tuple[str, str]]:
    command = [ssh, "-G", "-F", str(path), "--", host]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotAcceptedError(f"ssh -G did not end within {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotAcceptedError("; ".join(lines[:3]) or f"ssh -G: exit status {done.returncode}")
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key in _KEPT:
            yield key, value


def _names_user(path: Path, depth: int = 0) -> bool:
    """Whether a ``User`` stands anywhere in the file or in one that it includes."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    if re.search(r"(?im)^\s*user[\s=]", text):
        return True
    for included in re.findall(r"(?im)^\s*include[\s=]+(.+)$", text) if depth < _MOST_HOPS else ():
        for pattern in included.split():
            place = os.path.join(str(path.parent), os.path.expanduser(pattern.strip('"')))
            if any(_names_user(Path(found), depth + 1) for found in glob.glob(place)):
                return True
    return False


def _folder() -> Path:
    """A folder of this process, gone with it."""
    global _made
    if _made is None:
        _made = Path(tempfile.mkdtemp(prefix="rocminfra-ssh-"))
        atexit.register(shutil.rmtree, _made, ignore_errors=True)
    return _made


_made: Path | None = None
