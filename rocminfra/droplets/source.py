"""Droplets as a source of an inventory, together with the hosts of a file.

A droplet's address, pinned host key, scratch size and price come from the cloud and the ledger;
what a hosts file says for all hosts, or for a host of the droplet's name, wins.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pyinfra import logger
from pyinfra.api.exceptions import InventoryError

from rocminfra.droplets import tags
from rocminfra.droplets.access import PREFIX, Access, is_configured, read_access
from rocminfra.droplets.clock import Clock
from rocminfra.droplets.hosts import host_keys, merged
from rocminfra.droplets.ledger import Ledger
from rocminfra.droplets.records import CloudDroplet
from rocminfra.droplets.state_folder import StateFolder, state_folder
from rocminfra.failure import FailedError, again_words, next_words
from rocminfra.inventory.hosts_file import InventoryHost, hosts_from
from rocminfra.inventory.sources import HOSTS_FILE_NAME, from_hosts_file, named_file
from rocminfra.settings.environment import environment_settings
from rocminfra.settings.located_yaml import Located, read_yaml

TAG = PREFIX + "TAG"
# pyinfra loads an inventory more than once a run, and a deploy has several runs.
CACHE_S = 15.0


def from_cloud_and_file(environ: Mapping[str, str], folder: Path) -> list[InventoryHost] | None:
    """Droplets with the tag ``ROCMINFRA_DROPLET_TAG`` (``rocminfra``), and the hosts file's hosts.

    Without a token the cloud is not asked. None when neither has anything to say.

    Raises pyinfra's ``InventoryError`` when the cloud refuses, or has no such droplet and there is
    no hosts file; :class:`SettingsError` for a file that cannot be used.
    """
    if not is_configured(environ):
        return from_hosts_file(environ, folder)
    tag = environ.get(TAG, "").strip() or tags.OURS
    try:
        access = read_access(environ)
        state = state_folder(environ)
        state.make()
        running = _with_tag(_listed(access, state), tag)
        found = _hosts(running, state)
    except FailedError as error:
        raise InventoryError(_words(error)) from None
    located = _file(environ, folder)
    if located is None and not found:
        raise InventoryError(
            f"no droplet with the tag '{tag}' is up at {access.host}, and there is no hosts file"
            "\n    next: rocminfra droplet list, or: rocminfra droplet create"
        )
    return hosts_from(_together(located, found), environment_settings(environ))


def _hosts(running: list[CloudDroplet], state: StateFolder) -> dict[str, dict[str, Any]]:
    entries = {entry.id: entry for entry in Ledger(state.ledger).read().open}
    found: dict[str, dict[str, Any]] = {}
    for droplet in running:
        if droplet.address is None or droplet.status != "active":
            logger.warning("droplet %s is '%s': left out", droplet.name, droplet.status)
            continue
        name = droplet.name if droplet.name not in found else f"{droplet.name}-{droplet.id}"
        found[name] = host_keys(droplet, entries.get(droplet.id), state)
    return found


def _file(environ: Mapping[str, str], folder: Path) -> Located | None:
    named = named_file(environ)
    path = named or folder / HOSTS_FILE_NAME
    return read_yaml(path) if named is not None or path.exists() else None


def _together(located: Located | None, found: Mapping[str, dict[str, Any]]) -> Located:
    """The file as if the droplets stood in it."""
    if located is None:
        return Located("the cloud", {"hosts": dict(found)})
    hosts = located.data.get("hosts")
    written = dict(hosts) if isinstance(hosts, dict) else {}
    for name, keys in found.items():
        own = written.get(name)
        written[name] = merged(keys, own) if isinstance(own, dict) else keys
    return replace(located, data={**located.data, "hosts": written})


def _with_tag(running: list[CloudDroplet], tag: str) -> list[CloudDroplet]:
    return [droplet for droplet in running if tag in droplet.tags]


def _listed(access: Access, state: StateFolder) -> list[CloudDroplet]:
    """The team's droplets, read again after :data:`CACHE_S`."""
    clock = Clock()
    # The token names the team; its hash names the file, and nobody can read it back.
    key = json.dumps([access.endpoint, access.token.header()])
    path = state.path / f"seen-{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    known = _cached(path, clock.now())
    if known is not None:
        return known
    # httpx takes a third of a second to import, which a run without a cloud should not pay.
    from rocminfra.droplets.client import CloudClient

    client = CloudClient(access, clock, lambda line: logger.warning("%s", line))
    try:
        running = list(client.droplets())
    finally:
        client.close()
    document = {"at": clock.now(), "droplets": [asdict(droplet) for droplet in running]}
    try:
        handle, draft = tempfile.mkstemp(dir=state.path, prefix=".seen-")
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.replace(draft, path)
    except OSError as error:
        logger.debug("what the cloud said cannot be kept in %s: %s", path, error)
    return running


def _cached(path: Path, now: float) -> list[CloudDroplet] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not 0 <= now - float(document["at"]) < CACHE_S:
            return None
        return [
            CloudDroplet(**{**item, "tags": tuple(item["tags"])}) for item in document["droplets"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _words(error: FailedError) -> str:
    failure = error.failure
    told = [failure.what, *(f"    {line}" for line in failure.why)]
    if failure.next is not None:
        told.append(f"    next: {next_words(failure.next, again_words)}")
    return "\n".join(told)
