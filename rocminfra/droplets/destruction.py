"""The end of a droplet: asked for, and looked for until it is in no list."""

from __future__ import annotations

import contextlib

from rocminfra.droplets import creation
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.ledger import DESTROYED, NEVER_APPEARED, NOT_OURS, Entry
from rocminfra.droplets.records import CloudDroplet
from rocminfra.droplets.waiting import DeadlineError, wait_for
from rocminfra.failure import Do, FailedError, Failure, Fault

GONE_S = 5 * 60.0
# A list forgets a droplet for a moment now and then: it has to be missing this often in a row.
GONE_LOOKS = 3
# A request that was taken shows in the list within seconds, so an entry without a droplet is given
# up when it is this old and was looked for once more.
LOOK_AGAIN_S = 30.0
NEVER_AFTER_S = 15 * 60.0
# Asked for again when it is still there after so long.
AGAIN_S = 60.0


def is_gone(cloud: Cloud, number: int) -> bool:
    """Whether neither the list nor a question for this very id shows the droplet."""
    if cloud.client.droplet(number) is not None:
        return False
    return all(droplet.id != number for droplet in cloud.client.droplets())


def destroy(cloud: Cloud, number: int, label: str, usd_per_hour: float | None) -> str:
    """Destroy a droplet and see that it is gone; how it ended, for the ledger.

    Raises :class:`FailedError` (4) when it is still there, or nobody can say.
    """
    with cloud.interrupts.held(f"{label} is destroyed"):
        try:
            known = cloud.client.destroy(number)
            cloud.say(f"{label}: destroying" if known else f"{label}: the cloud knows it no more")
            _see_it_gone(cloud, number, label)
        except (FailedError, DeadlineError) as error:
            raise FailedError.of(_still_there(error, number, label, usd_per_hour)) from None
        cloud.say(f"{label}: gone")
        with contextlib.suppress(OSError):
            cloud.folder.known_hosts(number).unlink(missing_ok=True)
        return DESTROYED if known else NOT_OURS


def destroy_entry(cloud: Cloud, entry: Entry) -> Entry:
    """Destroy the droplet of an open entry, and close the entry.

    Raises :class:`FailedError` (4) when the droplet may still be there; the entry stays open.
    """
    with cloud.interrupts.held(f"{entry.label} is destroyed"):
        if entry.id is None:
            entry = creation.find(cloud, entry)
        assert entry.id is not None
        how = destroy(cloud, entry.id, entry.label, entry.usd_per_hour)
        return cloud.ledger.close(entry, how, cloud.clock.now())


def settle(cloud: Cloud, entry: Entry) -> Entry | None:
    """An open entry without an id: with its id, or None.

    Such an entry is left by a process that was killed, or by an answer that was lost. One that is
    old enough is closed; should its droplet show up ever after, its tags tell when it has to go.

    Raises :class:`FailedError` when the cloud cannot be asked.
    """
    found = creation.look_up(cloud, entry, LOOK_AGAIN_S)
    if found is not None:
        return found
    if cloud.clock.now() - entry.at >= NEVER_AFTER_S:
        cloud.ledger.close(entry, NEVER_APPEARED, cloud.clock.now())
        cloud.say(f"{entry.label}: never appeared; nothing to destroy")
    else:
        cloud.say(f"{entry.label}: not in the list; its entry stays open for now")
    return None


def _see_it_gone(cloud: Cloud, number: int, label: str) -> None:
    missing = 0
    asked = cloud.clock.now()

    def look() -> bool | str:
        nonlocal missing, asked
        if is_gone(cloud, number):
            missing += 1
            return True if missing >= GONE_LOOKS else "gone; looking again to be sure"
        missing = 0
        if cloud.clock.now() - asked >= AGAIN_S:
            asked = cloud.clock.now()
            cloud.client.destroy(number)
        return "still in the list"

    wait_for(f"{label}: its end", look, GONE_S, cloud.clock, cloud.say)


def _still_there(
    error: FailedError | DeadlineError, number: int, label: str, usd_per_hour: float | None
) -> Failure:
    if isinstance(error, FailedError):
        why: tuple[str, ...] = (error.failure.what, *error.failure.why)
    else:
        why = (f"after {GONE_S / 60:.0f} minutes: {error}",)
    price = f" at ${usd_per_hour:.2f} an hour" if usd_per_hour else ""
    return Failure(
        Fault.DROPLET_MAY_STILL_RUN,
        f"droplet {label} may still run{price}",
        why,
        Do(f"rocminfra droplet destroy {number}   # and look into the console"),
    )


def cost_of(entry: Entry, droplet: CloudDroplet | None, now: float) -> float:
    """What an entry's droplet has cost up to ``now``, or up to its end."""
    began = droplet.created if droplet is not None else entry.at
    end = entry.closed_at if entry.closed_at is not None else now
    return max(0.0, end - began) / 3600 * entry.usd_per_hour
