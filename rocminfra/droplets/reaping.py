"""What has outlived its time or its run, found by tags and by the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.droplets import tags
from rocminfra.droplets.clock import iso
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.destruction import destroy, destroy_entry, settle
from rocminfra.droplets.ledger import BY_RUN, NOT_OURS, Entry
from rocminfra.droplets.records import CloudDroplet
from rocminfra.failure import Do, FailedError, Failure, Fault


@dataclass(frozen=True)
class Doomed:
    """A droplet that has to go.

    + entry: its line in the ledger, None when another machine made it
    + droplet: as the cloud shows it, None while it is in no list
    """

    entry: Entry | None
    droplet: CloudDroplet | None
    reason: str

    @property
    def label(self) -> str:
        if self.droplet is not None:
            return f"{self.droplet.name} (id {self.droplet.id})"
        assert self.entry is not None
        return self.entry.label


@dataclass(frozen=True)
class Reaped:
    """What came of it.

    + gone: labels of what was destroyed
    + failures: what may still be there
    """

    gone: tuple[str, ...]
    failures: tuple[Failure, ...]


def doomed(cloud: Cloud, *, expired: bool = True) -> tuple[Doomed, ...]:
    """What has to go now.

    + expired: also what is past its time; without it only what a run that died left behind

    Only droplets with our tags, or in our ledger, are ever looked at. Entries whose droplet is gone
    are closed on the way.
    """
    now = cloud.clock.now()
    running = {droplet.id: droplet for droplet in cloud.client.droplets()}
    found: list[Doomed] = []
    for entry in cloud.ledger.read().of(cloud.account.uuid):
        reason = _reason(cloud, entry, now, expired)
        if reason is not None:
            droplet = running.get(entry.id) if entry.id is not None else None
            found.append(Doomed(entry, droplet, reason))
    known = {entry.id for entry in cloud.ledger.read().open}
    for droplet in running.values() if expired else ():
        until = tags.expiry(droplet.tags)
        if droplet.id in known or not tags.is_ours(droplet.tags) or until is None or until > now:
            continue
        if all(droplet.tags.count(item.entry.tag) == 0 for item in found if item.entry):
            found.append(Doomed(None, droplet, f"its time was over at {iso(until)}"))
    return tuple(found)


def reap(cloud: Cloud, found: tuple[Doomed, ...]) -> Reaped:
    """Destroy what :func:`doomed` found; one that cannot be destroyed keeps no other alive."""
    gone: list[str] = []
    failures: list[Failure] = []
    for item in found:
        cloud.say(f"{item.label}: {item.reason}")
        try:
            if _end(cloud, item):
                gone.append(item.label)
        except FailedError as error:
            failures.append(error.failure)
    return Reaped(tuple(gone), tuple(failures))


def close_what_is_gone(cloud: Cloud, running: tuple[CloudDroplet, ...]) -> None:
    """Close entries whose droplet somebody else destroyed, once the cloud denies it by id too."""
    listed = {droplet.id for droplet in running}
    for entry in cloud.ledger.read().of(cloud.account.uuid):
        if entry.id is None or entry.id in listed:
            continue
        # A run that is alive looks for itself; a list that forgets is asked by id as well.
        if cloud.folder.is_run_alive(entry.tag) or cloud.client.droplet(entry.id) is not None:
            continue
        cloud.ledger.close(entry, NOT_OURS, cloud.clock.now())
        cloud.say(f"{entry.label}: destroyed by someone else")


def foreign_failure(cloud: Cloud) -> Failure | None:
    """Open entries of other teams: this token can neither see nor destroy them."""
    entries = cloud.ledger.read().foreign(cloud.account.uuid)
    if not entries:
        return None
    return Failure(
        Fault.OTHER_TEAM,
        f"{len(entries)} droplets in the ledger belong to another team, and may still run",
        tuple(
            f"{entry.label} of team '{entry.team}' at {entry.endpoint}, "
            f"${entry.usd_per_hour:.2f} an hour since {iso(entry.at)}"
            for entry in entries
        ),
        Do("rocminfra droplet reap   # with that team's token and endpoint"),
    )


def _reason(cloud: Cloud, entry: Entry, now: float, expired: bool) -> str | None:
    if cloud.folder.is_run_alive(entry.tag):
        return None
    if entry.owner == BY_RUN:
        return "left by a run that was killed"
    if not expired:
        return None
    if entry.expires <= now:
        return f"its time was over at {iso(entry.expires)}"
    return "its answer was lost" if entry.id is None else None


def _end(cloud: Cloud, item: Doomed) -> bool:
    entry, droplet = item.entry, item.droplet
    if entry is None:
        assert droplet is not None
        destroy(cloud, droplet.id, item.label, droplet.usd_per_hour)
        return True
    if entry.id is None:
        settled = settle(cloud, entry)
        if settled is None:
            return False
        entry = settled
    destroy_entry(cloud, entry)
    return True
