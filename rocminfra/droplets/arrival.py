"""From a droplet's id to a machine that can be worked on, each step with its own deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rocminfra.droplets.clock import lasting
from rocminfra.droplets.cloud import Cloud, Login
from rocminfra.droplets.destruction import GONE_LOOKS, is_gone
from rocminfra.droplets.ledger import NOT_OURS, Entry
from rocminfra.droplets.records import CloudDroplet
from rocminfra.droplets.waiting import DeadlineError, wait_for
from rocminfra.failure import Do, FailedError, Failure, Fault, Next

T = TypeVar("T")

ACTIVE_S = 15 * 60.0
SSH_S = 10 * 60.0
CLOUD_INIT_S = 20 * 60.0
COMMAND_S = 9.0

# cloud-init's own words, in its first line; all but these two are ends.
_UNDER_WAY = ("running", "not started", "not run")
# An image without cloud-init has nothing to wait for.
_CLOUD_INIT = "if command -v cloud-init >/dev/null; then cloud-init status; else echo none; fi"


@dataclass(frozen=True)
class Arrived:
    """A droplet that can be worked on."""

    entry: Entry
    droplet: CloudDroplet
    login: Login


def arrive(cloud: Cloud, entry: Entry) -> Arrived:
    """Wait until a droplet is active, has an address, answers SSH and is through its first boot.

    Raises :class:`FailedError` with the step that took too long (7), a droplet that the cloud
    could not make (6) or that somebody else destroyed (4).
    """
    droplet = _active(cloud, entry)
    entry, droplet = _host_key(cloud, entry, droplet)
    login = login_to(cloud, entry, droplet)
    _cloud_init(cloud, entry, login)
    return Arrived(entry, droplet, login)


def login_to(cloud: Cloud, entry: Entry, droplet: CloudDroplet) -> Login:
    """How to log in; the file of its pinned key is written for the address that it has now."""
    assert droplet.address is not None
    file = cloud.folder.known_hosts(droplet.id)
    if entry.host_key is not None:
        file.write_text(f"{droplet.address} {entry.host_key}\n", encoding="ascii")
    return Login(droplet.address, file, entry.identity)


def _active(cloud: Cloud, entry: Entry) -> CloudDroplet:
    look_once = _looker(cloud, entry)

    def look() -> CloudDroplet | str:
        droplet = look_once()
        if isinstance(droplet, str):
            return droplet
        if droplet.status != "active":
            return f"it is '{droplet.status}'"
        return droplet if droplet.address else "active, without an address"

    what = "did not become active with an address"
    return _within(cloud, entry, "an active machine with an address", look, ACTIVE_S, what)


def _host_key(cloud: Cloud, entry: Entry, droplet: CloudDroplet) -> tuple[Entry, CloudDroplet]:
    """The key that the machine shows first, pinned from now on. The address is asked for at every
    look, because it may change while the droplet is new."""
    look_once = _looker(cloud, entry)

    def look() -> tuple[CloudDroplet, str] | str:
        now = look_once()
        if isinstance(now, str):
            return now
        if now.address is None:
            return "the address is gone again"
        try:
            return now, cloud.reach.host_key(now.address)
        except OSError as error:
            return f"{now.address}: {error.strerror or error}"

    found, key = _within(cloud, entry, "SSH", look, SSH_S, "does not answer SSH")
    if entry.host_key is None:
        entry = cloud.ledger.ready(entry, key)
    return entry, found


def _cloud_init(cloud: Cloud, entry: Entry, login: Login) -> None:
    def look() -> bool | str:
        ran = cloud.reach.run(login, _CLOUD_INIT, COMMAND_S)
        if ran.code == 255:
            return f"ssh: {_last_line(ran.err) or 'no connection'}"
        status = ran.out.strip().splitlines()[:1] or ["unknown"]
        word = status[0].removeprefix("status:").strip()
        if word in _UNDER_WAY:
            return f"cloud-init: {word}"
        if word == "error":
            cloud.say(f"{entry.label}: cloud-init ended with an error; going on")
        return True

    what = "is not through its first boot"
    where = Do(f"ssh root@{login.address} cloud-init status --long")
    _within(cloud, entry, "login and cloud-init", look, CLOUD_INIT_S, what, where)


def _within(
    cloud: Cloud,
    entry: Entry,
    awaited: str,
    look: Callable[[], T | str],
    deadline_s: float,
    what: str,
    following: Next | None = None,
) -> T:
    try:
        awaited = f"{entry.label}: waiting for {awaited}"
        return wait_for(awaited, look, deadline_s, cloud.clock, cloud.say)
    except DeadlineError as error:
        raise FailedError.of(
            Failure(
                Fault.DROPLET_NOT_READY,
                f"droplet {entry.label} {what} within {lasting(deadline_s)}",
                (f"last seen: {error}",),
                following or Do("another --region, or the console's own view of the droplet"),
            )
        ) from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _looker(cloud: Cloud, entry: Entry) -> Callable[[], CloudDroplet | str]:
    """Looks at the droplet; words while the cloud does not know it, for a list may lag behind."""
    number = entry.id
    assert number is not None
    missed = 0

    def look() -> CloudDroplet | str:
        nonlocal missed
        droplet = cloud.client.droplet(number)
        if droplet is None:
            missed += 1
            if missed >= GONE_LOOKS and is_gone(cloud, number):
                raise FailedError.of(_destroyed(cloud, entry))
            return "the cloud does not know it"
        missed = 0
        if droplet.status == "new" and entry.action is not None:
            action = cloud.client.action_status(entry.action)
            if action == "errored":
                raise FailedError.of(_not_made(entry))
        return droplet

    return look


def _destroyed(cloud: Cloud, entry: Entry) -> Failure:
    cloud.ledger.close(entry, NOT_OURS, cloud.clock.now())
    return Failure(
        Fault.DROPLET_GONE,
        f"someone else destroyed droplet {entry.label}",
        ("the cloud does not know it any more, and it is in no list",),
        Do("rocminfra droplet list"),
    )


def _not_made(entry: Entry) -> Failure:
    return Failure(
        Fault.DROPLET_CREATION_FAILED,
        f"the cloud took the request for droplet {entry.label} and could not make it",
        (f"its action {entry.action} is 'errored'",),
        Do("rocminfra droplet sizes, and another --region"),
    )
