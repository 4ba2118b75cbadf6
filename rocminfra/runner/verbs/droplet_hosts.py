"""What the operator's hosts file says about a droplet that does not exist yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.failure import Do, FailedError, Failure, Fault
from rocminfra.inventory.sources import named_file
from rocminfra.settings.located_yaml import read_yaml
from rocminfra.settings.problems import SettingsError

DEFAULT = Path("inventory/hosts.yaml")


def written_by_operator(
    name: str, environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hosts file's ``defaults``, and its keys for a host called ``name``.

    The file is the one that ``ROCMINFRA_HOSTS_FILE`` names, or ``inventory/hosts.yaml``.

    Raises :class:`FailedError` (3) for a file that cannot be read: better now than on a machine
    that is paid for.
    """
    path = DEFAULT
    try:
        named = named_file(environ)
        path = named or DEFAULT
        if named is None and not path.exists():
            return {}, {}
        data = read_yaml(path).data
    except SettingsError as error:
        why = tuple(str(problem) for problem in error.problems)
        what = f"the hosts file cannot be used: {path}"
        raise FailedError.of(
            Failure(Fault.INVENTORY_UNUSABLE, what, why, Do(f"mend {path}"))
        ) from None
    defaults, hosts = data.get("defaults"), data.get("hosts")
    own = hosts.get(name) if isinstance(hosts, dict) else None
    return (
        dict(defaults) if isinstance(defaults, dict) else {},
        dict(own) if isinstance(own, dict) else {},
    )
