"""Which hosts a command is about: inventory, ``--limit``, and their settings, checked.

Everything here happens before anything connects.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pyinfra.api.config import Config
from pyinfra.api.exceptions import ConnectorDataTypeError, NoGroupError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.connectors.ssh import SSHConnector
from pyinfra_cli.exceptions import UnexpectedExternalError
from pyinfra_cli.inventory import make_inventory
from pyinfra_cli.util import parse_cli_arg

from rocminfra.failure import Again, Do, FailedError, Fault
from rocminfra.inventory.errors import UnusableInventory
from rocminfra.inventory.sources import unmatched_limit
from rocminfra.playbook_files import playbook_root
from rocminfra.settings import load_settings
from rocminfra.settings.addresses import host_name
from rocminfra.settings.connection_keys import (
    CONNECTION_KEYS,
    connection_problem,
    local_paths_resolved,
    type_problem,
)
from rocminfra.settings.environment import HOSTS, HOSTS_FILE, environment_settings
from rocminfra.settings.load import wanted_of
from rocminfra.settings.load_generators import named_by
from rocminfra.settings.load_generators import problem as load_generator_problem
from rocminfra.settings.located_yaml import read_value
from rocminfra.settings.problems import Problem, SettingsError, refusal
from rocminfra.settings.secret_names import SECRET_KEYS

# What to do instead of giving a secret by --data.
_INSTEAD = {
    "_sudo_password": "leave it out: pyinfra asks for it when sudo does; "
    "or let sudo ask for none (NOPASSWD)",
    "_su_password": "--data _sudo=true",
    "ssh_password": "ssh-copy-id USER@HOST   # then log in with the key, or --data ssh_key=FILE",
    "ssh_key_password": "ssh-add FILE   # the agent asks for it once",
}

DEFAULT_INVENTORY = "inventory/amd_cloud.py"


def parse_data(items: Sequence[str], wipe: Sequence[str]) -> dict[str, Any]:
    """Data of this run from ``--data key=value`` and ``--wipe TOKEN``.

    Values of settings are read as in a hosts file; those of keys that are not ours as pyinfra reads
    them: numbers, ``true``, ``false`` and JSON, else text.
    """
    data: dict[str, Any] = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise FailedError(
                Fault.DATA_OPTION_INVALID,
                f"--data {key}{'=' if separator else ''}: not KEY=VALUE",
                next=Do("--data vllm.max_num_seqs=32"),
            )
        if key in SECRET_KEYS:
            raise FailedError(
                Fault.SECRET_ON_COMMAND_LINE,
                f"--data {key}=…: a secret on a command line is read by every user of this machine",
                next=Do(_INSTEAD[key]),
            )
        data[key] = _value(key, value)
    if wipe:
        data["wipe"] = list(wipe)
    return local_paths_resolved(data)


def inventory_argument(given: str | None) -> str:
    """The inventory to load: a file, or names and ``@connector`` hosts with commas.

    Without ``given`` it is ``inventory/amd_cloud.py`` in the working directory; or, when the
    environment names hosts or a hosts file, the one that is shipped.
    """
    if given is None:
        here = Path(DEFAULT_INVENTORY)
        if here.exists():
            return str(here)
        if os.environ.get(HOSTS) or os.environ.get(HOSTS_FILE):
            return str(playbook_root() / DEFAULT_INVENTORY)
        raise FailedError(
            Fault.NO_HOSTS,
            f"no hosts: there is no {DEFAULT_INVENTORY} here, and neither -i nor {HOSTS} is given",
            next=Do("rocminfra init my-hosts && cd my-hosts"),
        )
    if _is_file(given) and given.endswith((".yaml", ".yml")):
        raise FailedError(
            Fault.INVENTORY_UNUSABLE,
            f"{given} is a hosts file, and -i takes an inventory, which is a Python file",
            next=Do(f"export {HOSTS_FILE}={shlex.quote(given)}, and leave -i out"),
        )
    if _is_file(given) or given.startswith("@") or "," in given:
        return given
    if given.endswith((".py", ".yaml", ".yml")) or "/" in given or given in (".", ".."):
        raise FailedError(
            Fault.INVENTORY_NOT_FOUND,
            f"there is no inventory file {given}",
            (f"looked for {Path(given).absolute()}",),
            Do("rocminfra init DIR  # lays out inventory/ with a commented example"),
        )
    # A single name or address; the comma keeps pyinfra from looking for a Python module.
    return f"{given},"


def load_inventory(argument: str, data: Mapping[str, Any]) -> Inventory:
    """Run an inventory file, or make an inventory of names."""
    try:
        if not _is_file(argument):
            names = [name for name in argument.split(",") if name]
            _check_names(names)
            # As in every inventory of ours; --data wins.
            given = {**environment_settings(os.environ), **data}
            return Inventory((names, {}), override_data=given)  # type: ignore[no-untyped-call]
        inventory: Inventory = make_inventory(argument, override_data=dict(data))
    except SettingsError as error:
        raise FailedError.of(refusal([str(problem) for problem in error.problems])) from None
    except UnexpectedExternalError as error:
        raise FailedError(
            Fault.INVENTORY_UNUSABLE,
            f"inventory {argument}: {type(error.exception).__name__}: {error.exception}",
        ) from error.exception
    except (SyntaxError, UnicodeDecodeError, OSError, TypeError) as error:
        # pyinfra compiles the file, and judges what is in it, outside its own guard.
        what = f"inventory {argument}: {type(error).__name__}: {error}"
        raise FailedError(Fault.INVENTORY_UNUSABLE, what) from error
    except UnusableInventory as error:
        failure = error.failure
        raise FailedError(
            failure.fault, f"inventory {argument}: {failure.what}", failure.why, failure.next
        ) from error
    except PyinfraError as error:
        what = str(error.args[0] if error.args else error)
        raise FailedError(Fault.INVENTORY_UNUSABLE, f"inventory {argument}: {what}") from error
    return inventory


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that are no address; one that chooses its connector is that one's to judge."""
    for name in names:
        try:
            if not name.startswith("@"):
                host_name(name)
        except ValueError as error:
            raise FailedError(
                Fault.INVENTORY_UNUSABLE,
                f"-i {name}: {error}",
                next=Do(
                    f"give the address alone; a hosts file has ssh_user and ssh_port ({HOSTS_FILE})"
                ),
            ) from None


def limit_hosts(inventory: Inventory, patterns: Sequence[str], argument: str) -> list[Host]:
    """The hosts that ``--limit`` leaves, in the inventory's order.

    + patterns: host names, groups or shell patterns; none means all hosts

    Raises :class:`FailedError` when there are no hosts, or a pattern matches none.
    """
    hosts = list(inventory)
    if not hosts:
        raise FailedError(
            Fault.NO_HOSTS,
            f"inventory {argument} lists no hosts",
            next=Do("rocminfra lab up  # for practice droplets")
            if Path(argument).name == "lab.py"
            else None,
        )
    if not patterns:
        return hosts
    chosen: set[str] = set()
    for pattern in patterns:
        matching = _matching(inventory, pattern)
        if not matching:
            names = [host.name for host in hosts]
            raise FailedError.of(unmatched_limit(pattern, names, sorted(inventory.groups)))
        chosen.update(matching)
    return [host for host in hosts if host.name in chosen]


def with_load_generators(hosts: Sequence[Host], inventory: Inventory) -> list[Host]:
    """Hosts together with those that send the load of their benchmarks (``bench.load_generator``).

    + hosts: what ``--limit`` leaves
    """
    wanted = {_load_generator(host) for host in hosts}
    return [host for host in inventory if host in hosts or host.name in wanted]


def check_settings(hosts: Sequence[Host], data: Mapping[str, Any]) -> None:
    """Check every host's settings; raises :class:`FailedError` with all that is wrong."""
    found: dict[str, tuple[str, str] | None] = {}
    for key in CONNECTION_KEYS.keys() & data.keys():
        what = connection_problem(key, data[key])
        if what is not None:
            found[f"--data {key}: {what}"] = None
    for host in hosts:
        found.update(dict.fromkeys(_connection_problems(host, data)))
        try:
            load_settings(host.data.dict())  # type: ignore[no-untyped-call]
        except SettingsError as error:
            for problem in error.problems:
                renamed = problem.hint is not None and problem.key in data
                meant = (problem.key, problem.hint or "") if renamed else None
                found[_line(problem, host.name, data)] = meant
    named = {host.name: _load_generator(host) for host in hosts[0].inventory} if hosts else {}
    for host in hosts:
        wanted = named[host.name]
        wrong = None if wanted is None else load_generator_problem(host.name, wanted, named)
        if wrong is not None:
            found[_line(wrong, host.name, data)] = None
    if found:
        keys = [keys for keys in found.values() if keys is not None]
        raise FailedError.of(refusal(list(found), keys))


def begin(state: State, inventory: Inventory, config: Config, hosts: Sequence[Host]) -> None:
    """Give pyinfra's state its hosts.

    Raises :class:`FailedError` for data of a host that its connector cannot use.
    """
    try:
        state.init(inventory, config, initial_limit=hosts)
    except ConnectorDataTypeError as error:
        raise FailedError(Fault.INVENTORY_UNUSABLE, f"the inventory's data: {error}") from error


def _connection_problems(host: Host, data: Mapping[str, Any]) -> list[str]:
    """What pyinfra's connector cannot read; an inventory in Python may hold anything.

    A file that is not there, or a name that nobody knows, leaves out its own host alone, later.
    """
    if not issubclass(host.connector_cls, SSHConnector):
        return []
    given = host.data.dict()  # type: ignore[no-untyped-call]
    asked = ((key, given[key]) for key in CONNECTION_KEYS.keys() & given.keys() - data.keys())
    problems = ((key, type_problem(key, value)) for key, value in asked)
    return sorted(f"{host.name}: {key}: {what}" for key, what in problems if what is not None)


def _load_generator(host: Host) -> str | None:
    try:
        return named_by(host.data.dict())  # type: ignore[no-untyped-call]
    except SettingsError:
        return None  # said of the host, if it is in the run


def _value(key: str, text: str) -> Any:
    takes = wanted_of(key)
    if takes is None:
        return parse_cli_arg(text)
    try:
        return read_value(text, takes)
    except ValueError as error:
        what = f"--data {key}: is not a valid YAML value: {error}"
        raise FailedError(Fault.DATA_OPTION_INVALID, what, next=Again("correct it; then")) from None


def _is_file(argument: str) -> bool:
    # A file may well be called like a host; one called like a connector is not meant.
    return not argument.startswith("@") and Path(argument).is_file()


def _matching(inventory: Inventory, pattern: str) -> set[str]:
    try:
        return {host.name for host in inventory.get_group(pattern)}
    except NoGroupError:
        return {host.name for host in inventory if fnmatch(host.name, pattern)}


def _line(problem: Problem, host: str, data: Mapping[str, Any]) -> str:
    return f"--data {problem}" if problem.key in data else f"{host}: {problem}"
