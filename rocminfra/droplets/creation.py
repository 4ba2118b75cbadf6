"""One request that costs money: written down before, looked for after, never sent twice."""

from __future__ import annotations

from rocminfra.droplets import tags
from rocminfra.droplets.client import Created, Refused
from rocminfra.droplets.clock import iso
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.ledger import REFUSED, Entry
from rocminfra.droplets.offer import Offer, no_capacity
from rocminfra.droplets.records import CloudDroplet
from rocminfra.droplets.waiting import DeadlineError, wait_for
from rocminfra.failure import Do, FailedError, Failure, Fault

# For how long a droplet is looked for whose id was never heard. A list may lag behind.
LOOKUP_S = 180.0


def create(
    cloud: Cloud,
    wanted: Offer,
    owner: str,
    tag: str,
    identity: str | None = None,
) -> Entry:
    """Create one droplet; its entry has an id when this returns.

    + owner: ``ledger.BY_RUN`` or ``ledger.BY_PERSON``
    + tag: its own, from :func:`tags.new_unique`
    + identity: private key file that it is logged in to with

    Raises :class:`FailedError`: nothing was created (9 when the name is taken, 6 for capacity), or
    it is unknown (4), in which case the entry stays open.
    """
    entry = _write_down(cloud, wanted, owner, tag, identity)
    # The answer has the id in it: it is waited for whatever signal comes.
    with cloud.interrupts.held("the answer about the new droplet is awaited"):
        outcome = cloud.client.create(_body(wanted, entry))
        if isinstance(outcome, Created):
            entry = cloud.ledger.created(entry, outcome.id, outcome.action)
            cloud.say(f"{entry.label}: created, ${entry.usd_per_hour:.2f} an hour from now on")
            return entry
        if isinstance(outcome, Refused):
            cloud.ledger.close(entry, REFUSED, cloud.clock.now())
    if isinstance(outcome, Refused):
        failure = outcome.failure
        raise FailedError.of(_elsewhere(cloud, wanted, failure) if outcome.no_capacity else failure)
    cloud.say(f"{entry.name}: no answer about the new droplet ({outcome.why}); looking for it")
    return find(cloud, entry)


def find(cloud: Cloud, entry: Entry) -> Entry:
    """Look for a droplet whose id is unknown, by its tag.

    Raises :class:`FailedError` (4) when it does not appear, or the cloud cannot be asked; the entry
    stays open.
    """
    found = look_up(cloud, entry, LOOKUP_S)
    if found is not None:
        return found
    raise FailedError.of(
        Failure(
            Fault.DROPLET_CREATION_UNCERTAIN,
            f"it is not known whether droplet '{entry.name}' was created: no answer came, and no "
            f"droplet with tag {entry.tag} is in the list",
            (f"it stands in the ledger: {cloud.ledger.path}",),
            Do("rocminfra droplet reap   # looks again, and destroys it when it is there"),
        )
    )


def look_up(cloud: Cloud, entry: Entry, deadline_s: float) -> Entry | None:
    """The entry with its droplet's id, or None when no droplet with its tag appears in time.

    Raises :class:`FailedError` when the cloud cannot be asked.
    """

    def look() -> CloudDroplet | str:
        for droplet in cloud.client.droplets():
            if entry.tag in droplet.tags:
                return droplet
        return "not in the list yet"

    what = f"{entry.name}: looking for tag {entry.tag}"
    try:
        found = wait_for(what, look, deadline_s, cloud.clock, cloud.say)
    except DeadlineError:
        return None
    entry = cloud.ledger.created(entry, found.id)
    cloud.say(f"{entry.label}: found by its tag")
    return entry


def _write_down(cloud: Cloud, wanted: Offer, owner: str, tag: str, identity: str | None) -> Entry:
    now = cloud.clock.now()
    entry = Entry(
        tag=tag,
        name=wanted.name,
        at=now,
        endpoint=cloud.client.access.endpoint,
        account=cloud.account.uuid,
        team=cloud.account.name,
        size=wanted.size.slug,
        region=wanted.region,
        usd_per_hour=wanted.size.usd_per_hour,
        expires=now + wanted.hours * 3600,
        owner=owner,
        scratch_gib=wanted.size.scratch_gib,
        identity=identity,
    )
    running = cloud.client.droplets()
    with cloud.ledger.locked():
        book = cloud.ledger.checked()
        for known in book.of(cloud.account.uuid):
            if known.name == wanted.name:
                raise FailedError.of(_taken(known.label, known.at))
        for droplet in running:
            if droplet.name == wanted.name:
                raise FailedError.of(_taken(f"{droplet.name} (id {droplet.id})", droplet.created))
        cloud.ledger.intend(entry)
    return entry


def _taken(label: str, since: float) -> Failure:
    name = label.split(" ")[0]
    return Failure(
        Fault.DROPLET_NAME_TAKEN,
        f"there is a droplet of that name: {label}, since {iso(since)}",
        next=Do(f"rocminfra droplet show {name}, or another --name"),
    )


def _body(wanted: Offer, entry: Entry) -> dict[str, object]:
    return {
        "name": wanted.name,
        "region": wanted.region,
        "size": wanted.size.slug,
        "image": int(wanted.image) if wanted.image.isdigit() else wanted.image,
        "ssh_keys": [key.id for key in wanted.ssh_keys],
        "tags": [tags.OURS, entry.tag, tags.expires(entry.expires)],
        # No user_data: every process on the droplet can read it.
        "backups": False,
        "ipv6": False,
        "monitoring": False,
    }


def _elsewhere(cloud: Cloud, wanted: Offer, failure: Failure) -> Failure:
    """A refusal for capacity with the regions that have some, read again."""
    try:
        sizes = cloud.client.sizes()
    except FailedError:
        return failure
    now = next((size for size in sizes if size.slug == wanted.size.slug), wanted.size)
    detailed = no_capacity(now, wanted.region, sizes)
    return Failure(detailed.fault, detailed.what, (*failure.why, *detailed.why), detailed.next)
