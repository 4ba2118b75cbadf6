"""Droplets as people name them: what the cloud shows together with what the ledger knows."""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.droplets import tags
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.ledger import Entry
from rocminfra.droplets.records import CloudDroplet
from rocminfra.failure import Do, FailedError, Failure, Fault


@dataclass(frozen=True)
class Known:
    """A droplet of the team.

    + droplet: None for an entry whose droplet is in no list
    + entry: None for a droplet that is not in our ledger
    """

    droplet: CloudDroplet | None
    entry: Entry | None

    @property
    def name(self) -> str:
        return self.droplet.name if self.droplet else self._entry.name

    @property
    def id(self) -> int | None:
        return self.droplet.id if self.droplet else self._entry.id

    @property
    def label(self) -> str:
        return f"{self.name} (id {self.id})" if self.id is not None else self._entry.label

    @property
    def is_ours(self) -> bool:
        """Whether this program made it, here or on another machine."""
        return self.entry is not None or (
            self.droplet is not None and tags.is_ours(self.droplet.tags)
        )

    @property
    def expires(self) -> float | None:
        if self.droplet is not None:
            return tags.expiry(self.droplet.tags)
        return self._entry.expires

    @property
    def usd_per_hour(self) -> float | None:
        if self.droplet is not None and self.droplet.usd_per_hour is not None:
            return self.droplet.usd_per_hour
        return self.entry.usd_per_hour if self.entry is not None else None

    def cost_usd(self, now: float) -> float | None:
        """What it has cost up to ``now``."""
        if self.droplet is not None:
            return self.droplet.cost_usd(now)
        return max(0.0, now - self._entry.at) / 3600 * self._entry.usd_per_hour

    @property
    def _entry(self) -> Entry:
        assert self.entry is not None
        return self.entry


def known(cloud: Cloud, running: tuple[CloudDroplet, ...]) -> tuple[Known, ...]:
    """Every droplet of the team, and every open entry whose droplet is in no list."""
    entries = cloud.ledger.read().of(cloud.account.uuid)
    by_id = {entry.id: entry for entry in entries if entry.id is not None}
    by_tag = {entry.tag: entry for entry in entries}
    found = []
    for droplet in running:
        entry = by_id.get(droplet.id) or by_tag.get(tags.unique(droplet.tags) or "")
        found.append(Known(droplet, entry))
    listed = {item.entry.tag for item in found if item.entry is not None}
    found += [Known(None, entry) for entry in entries if entry.tag not in listed]
    return tuple(found)


def named(cloud: Cloud, wanted: str) -> Known:
    """The one droplet with this name or id.

    Raises :class:`FailedError`: 3 when there is none or several, 4 when it is another team's.
    """
    everything = known(cloud, cloud.client.droplets())
    found = [item for item in everything if wanted in (item.name, str(item.id))]
    if len(found) == 1:
        return found[0]
    if not found:
        for entry in cloud.ledger.read().foreign(cloud.account.uuid):
            if wanted in (entry.name, str(entry.id)):
                raise FailedError.of(_foreign(cloud, entry))
    ours = ", ".join(item.label for item in (found or everything) if found or item.is_ours)
    what = f"there are several droplets called '{wanted}'" if found else f"no droplet '{wanted}'"
    raise FailedError.of(
        Failure(
            Fault.DROPLET_UNKNOWN,
            f"{what} in team '{cloud.account.name}'",
            (f"there are: {ours or 'none'}",),
            Do("rocminfra droplet list"),
        )
    )


def _foreign(cloud: Cloud, entry: Entry) -> Failure:
    return Failure(
        Fault.OTHER_TEAM,
        f"droplet {entry.label} belongs to another team than this token",
        (
            f"the droplet: team '{entry.team}' at {entry.endpoint}",
            f"the token:   team '{cloud.account.name}' at {cloud.client.access.endpoint}",
        ),
        Do("the same with that team's token and endpoint"),
    )
