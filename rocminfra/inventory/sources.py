"""Where hosts come from: the environment, a hosts file, and whatever a source is written for.

A source is a function from the environment and the inventory's folder to a list of hosts, or to
None when it has nothing to say. The first that answers counts, so that a cloud's API is one more
function in an inventory's list.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.inventory.errors import UnusableInventory
from rocminfra.inventory.hosts_file import InventoryHost, host_data, read_hosts_file
from rocminfra.settings import load_settings
from rocminfra.settings.connection_keys import connection_problem
from rocminfra.settings.environment import (
    CONNECTOR,
    HOSTS,
    HOSTS_FILE,
    environment_settings,
    variable,
)
from rocminfra.settings.local_paths import expanded
from rocminfra.settings.problems import Problem, SettingsError, refusal

Source = Callable[[Mapping[str, str], Path], "list[InventoryHost] | None"]

HOSTS_FILE_NAME = "hosts.yaml"

# The connectors that an inventory may choose: ours, and pyinfra's own SSH.
BATCHED, PLAIN = "rocminfra", "ssh"

# [user@]address[:port]; an IPv6 address with a port is written in brackets.
_ADDRESS = re.compile(
    r"^(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:]+)\]|(?P<host>[^\s:@\[\]]+))(?::(?P<port>\d+))?$"
)
_BARE_V6 = re.compile(r"^(?:(?P<user>[^@\s]+)@)?(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)$")


def from_environment(environ: Mapping[str, str], _folder: Path) -> list[InventoryHost] | None:
    """``ROCMINFRA_HOSTS``: names or addresses, with commas between them.

    Each is ``[user@]address[:port]``; without a user it is that of ``~/.ssh/config``, or root.
    The settings are the defaults and ``ROCMINFRA_<SECTION>__<KEY>``.
    """
    listed = environ.get(HOSTS, "").strip()
    if not listed:
        return None
    if environ.get(HOSTS_FILE, "").strip():
        what = f"is set together with {HOSTS_FILE}; unset one of them"
        raise SettingsError([Problem(HOSTS, what, where="environment")])
    overrides = environment_settings(environ)
    names = [item.strip() for item in listed.split(",") if item.strip()]
    hosts = [_environment_host(name, overrides) for name in dict.fromkeys(names)]
    twice = next((host for host in hosts if [one.name for one in hosts].count(host.name) > 1), None)
    if twice is not None:
        what = (
            f"names {twice.name} twice, each time in another way; a hosts file can give both a name"
        )
        raise SettingsError([Problem(HOSTS, what, where="environment")])
    _check([(host.name, host.data) for host in hosts], overrides)
    return hosts


def from_hosts_file(environ: Mapping[str, str], folder: Path) -> list[InventoryHost] | None:
    """``ROCMINFRA_HOSTS_FILE``, or ``hosts.yaml`` beside the inventory."""
    named = named_file(environ)
    path = named or folder / HOSTS_FILE_NAME
    if named is None and not path.exists():
        return None
    return read_hosts_file(path, environment_settings(environ))


def named_file(environ: Mapping[str, str]) -> Path | None:
    """The hosts file that ``ROCMINFRA_HOSTS_FILE`` names, with its home folder written out.

    Raises :class:`SettingsError` for the home of a user who is unknown here.
    """
    named = environ.get(HOSTS_FILE, "").strip()
    if not named:
        return None
    try:
        return Path(expanded(named))
    except ValueError as error:
        problem = Problem(HOSTS_FILE, str(error), where="environment")
        raise SettingsError([problem]) from None


def pyinfra_hosts(
    sources: Sequence[Source], inventory_file: str, environ: Mapping[str, str] | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """The hosts of the first source that answers, as pyinfra's inventory wants them.

    + sources: asked in this order
    + inventory_file: the inventory's ``__file__``; hosts files are looked for beside it
    + environ: usually ``os.environ``

    Raises :class:`UnusableInventory`, which pyinfra shows as a message without a traceback.
    """
    environ = os.environ if environ is None else environ
    folder = Path(inventory_file).parent
    try:
        for source in sources:
            hosts = source(environ, folder)
            if hosts is not None:
                refuse_empty_limit([host.name for host in hosts], inventory_file)
                return [(host.name, host.data) for host in hosts]
    except SettingsError as error:
        raise _unusable(error) from None
    example = folder / "hosts.example.yaml"
    raise UnusableInventory(
        Failure(
            Fault.NO_HOSTS,
            f"no hosts: there is no {folder / HOSTS_FILE_NAME}, and {HOSTS_FILE} and {HOSTS} are "
            "not set",
            next=Do(
                f"cp {example} {folder / HOSTS_FILE_NAME}, and write your hosts into it; "
                f"or: export {HOSTS}=203.0.113.10"
            ),
        )
    )


def completed(
    hosts: Sequence[tuple[str, Mapping[str, Any]]],
    inventory_file: str,
    environ: Mapping[str, str] | None = None,
) -> list[tuple[str, dict[str, Any]]]:
    """Hosts of any origin with what every inventory of ours adds: settings of the environment,
    and an error for a ``--limit`` that leaves none.

    + hosts: names and data, as pyinfra takes them
    + inventory_file: the inventory's ``__file__``
    + environ: usually ``os.environ``

    Raises :class:`UnusableInventory`.
    """
    try:
        return _completed(hosts, inventory_file, os.environ if environ is None else environ)
    except SettingsError as error:
        raise _unusable(error) from None


def through_connector(
    hosts: Sequence[tuple[str, dict[str, Any]]], environ: Mapping[str, str] | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Hosts as ``@rocminfra/NAME``, whose facts come in one exec; pyinfra calls them ``NAME``.

    + hosts: names and data; a name that begins with ``@`` has chosen its connector
    + environ: usually ``os.environ``; ``ROCMINFRA_CONNECTOR=ssh`` is pyinfra's own connector, as is
      ``rocminfra_connector: ssh`` for one host

    Raises :class:`UnusableInventory` for any other connector.
    """
    everywhere = (os.environ if environ is None else environ).get(CONNECTOR, "").strip()
    # A checkout that is on the search path without being installed has no entry points.
    installed = {entry.name for entry in entry_points(group="pyinfra.connectors")}
    named = []
    for name, data in hosts:
        connector = data.get(CONNECTOR.lower()) or everywhere or BATCHED
        if connector not in (BATCHED, PLAIN):
            raise UnusableInventory(
                Failure(
                    Fault.CONNECTOR_UNKNOWN,
                    f"{name}: there is no connector '{connector}'",
                    next=Do(f"{CONNECTOR}={BATCHED} (facts in one exec) or {CONNECTOR}={PLAIN}"),
                )
            )
        batched = connector == BATCHED and BATCHED in installed and not name.startswith("@")
        named.append((f"@{BATCHED}/{name}" if batched else name, data))
    return named


def refuse_empty_limit(names: Sequence[str], inventory_file: str) -> None:
    """Raise :class:`UnusableInventory` when ``--limit`` leaves no host.

    pyinfra itself warns, does nothing and exits with 0, which in CI looks like success.

    + names: the inventory's hosts, all in a group called ``hosts``
    + inventory_file: the inventory's ``__file__``
    """
    context = click.get_current_context(silent=True)
    patterns = () if context is None else context.params.get("limit") or ()
    path = Path(inventory_file)
    groups = {"hosts", path.stem, *(item.stem for item in path.parent.glob("group_data/*.py"))}
    for pattern in patterns:
        if pattern in groups or pattern.startswith("@"):
            continue
        if not any(fnmatch(name, pattern) for name in names):
            raise UnusableInventory(unmatched_limit(pattern, names, sorted(groups)))


def unmatched_limit(pattern: str, names: Sequence[str], groups: Sequence[str]) -> Failure:
    """That ``--limit`` names nothing, with the nearest name that there is.

    + names, groups: hosts and groups of the inventory
    """
    near = difflib.get_close_matches(pattern, [*names, *groups], n=1, cutoff=0.4)
    return Failure(
        Fault.LIMIT_MATCHES_NOTHING,
        f"--limit {pattern} matches no host" + (f" (did you mean {near[0]}?)" if near else ""),
        (f"hosts: {', '.join(names)}", f"groups: {', '.join(groups)}"),
        Again(limit=near[0] if near else "NAME"),
    )


def _completed(
    hosts: Sequence[tuple[str, Mapping[str, Any]]],
    inventory_file: str,
    environ: Mapping[str, str],
) -> list[tuple[str, dict[str, Any]]]:
    overrides = environment_settings(environ)
    refuse_empty_limit([name for name, _ in hosts], inventory_file)
    found = [(name, {**data, **overrides}) for name, data in hosts]
    if overrides:
        _check(found, overrides)
    return found


def _unusable(error: SettingsError) -> UnusableInventory:
    return UnusableInventory(
        refusal([str(problem) for problem in error.problems], fault=Fault.INVENTORY_UNUSABLE)
    )


def _environment_host(item: str, overrides: Mapping[str, Any]) -> InventoryHost:
    if item.startswith("@"):
        return InventoryHost(item, host_data(item, {}, overrides))
    match = _BARE_V6.match(item) or _ADDRESS.match(item)
    if match is None:
        what = f"'{item}' is not [user@]address[:port]"
        raise SettingsError([Problem(HOSTS, what, where="environment")])
    parts = match.groupdict()
    name = parts["v6"] or parts["host"]
    own: dict[str, Any] = {"ssh_hostname": name}
    wrong = connection_problem("ssh_hostname", name)
    if wrong is not None:
        raise SettingsError([Problem(HOSTS, f"'{item}': {wrong}", where="environment")])
    if parts["user"]:
        own["ssh_user"] = parts["user"]
        wrong = connection_problem("ssh_user", parts["user"])
        if wrong is not None:
            raise SettingsError([Problem(HOSTS, f"'{item}': {wrong}", where="environment")])
    if parts.get("port"):
        own["ssh_port"] = int(parts["port"])
        if not 1 <= own["ssh_port"] <= 65535:
            what = f"'{item}': must be a port from 1 to 65535"
            raise SettingsError([Problem(HOSTS, what, where="environment")])
    return InventoryHost(name, host_data(name, own, overrides))


def _check(hosts: Sequence[tuple[str, Mapping[str, Any]]], overrides: Mapping[str, Any]) -> None:
    """Check hosts' settings; what the environment got wrong is said once, under its own name."""
    found: dict[Problem, None] = {}
    for name, data in hosts:
        try:
            load_settings(data)
        except SettingsError as error:
            for item in error.problems:
                ours = item.key in overrides
                where = f"environment: {variable(item.key)}" if ours else name
                found[replace(item, where=where)] = None
    if found:
        raise SettingsError(list(found))
