"""A droplet as pyinfra's inventory takes it: how to log in, and what its size says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rocminfra.droplets.ledger import Entry
from rocminfra.droplets.records import CloudDroplet
from rocminfra.droplets.state_folder import StateFolder


def host_keys(droplet: CloudDroplet, entry: Entry | None, folder: StateFolder) -> dict[str, Any]:
    """Connection and settings of a droplet.

    + entry: its line in the ledger, None for a droplet that was made elsewhere; its host key is
      then the first that is seen, in a file of our own, so that the operator's known hosts do not
      fill with addresses that are given away again
    """
    assert droplet.address is not None
    file = folder.known_hosts(droplet.id)
    keys: dict[str, Any] = {
        "ssh_hostname": droplet.address,
        "ssh_user": "root",
        "ssh_known_hosts_file": str(file),
    }
    if entry is not None and entry.host_key is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(f"{droplet.address} {entry.host_key}\n", encoding="ascii")
        keys["ssh_strict_host_key_checking"] = "yes"
    if entry is not None and entry.identity is not None:
        keys["ssh_key"] = entry.identity
    scratch = droplet.scratch_gib or (entry.scratch_gib if entry is not None else None)
    if scratch:
        keys["storage"] = {"expected_size_gib": float(scratch)}
    price = droplet.usd_per_hour or (entry.usd_per_hour if entry is not None else None)
    if price:
        keys["cost"] = {"usd_per_hour": float(price)}
    return keys


def merged(keys: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A droplet's keys with what the operator wrote about it, which wins key by key."""
    result = dict(keys)
    for key, value in own.items():
        known = result.get(key)
        if isinstance(known, dict) and isinstance(value, Mapping):
            result[key] = {**known, **value}
        else:
            result[key] = value
    return result


def write_hosts_file(
    path: Path, name: str, keys: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    """A hosts file with this one droplet, for the commands of a run."""
    document = {"defaults": dict(defaults), "hosts": {name: dict(keys)}}
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
