"""A droplet command's whole surroundings for tests: stub cloud, ledger in a folder, and time that
passes only when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from droplet_cloud import KEY, TOKEN, StubCloud
from droplet_stub import serving

from rocminfra.droplets.access import Access, Token
from rocminfra.droplets.client import CloudClient
from rocminfra.droplets.clock import Clock
from rocminfra.droplets.cloud import Cloud, Login, Ran
from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.ledger import BY_RUN, Entry, Ledger
from rocminfra.droplets.offer import Offer, Wanted, offer
from rocminfra.droplets.state_folder import StateFolder
from rocminfra.failure import Failure

START = 1_790_000_000.0
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeKeyFakeKeyFakeKeyFakeKeyFakeKeyFake"


class TestClock:
    """Time that a sleep moves on at once."""

    __test__ = False

    def __init__(self) -> None:
        self.now = START
        self._events: list[tuple[float, Callable[[], None]]] = []

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Do something that many seconds after the start."""
        self._events.append((START + seconds, event))

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds
        due = [event for when, event in self._events if when <= self.now]
        self._events = [item for item in self._events if item[0] > self.now]
        for event in due:
            event()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)


@dataclass
class TestReach:
    """SSH that answers after so many looks."""

    __test__ = False

    refused: int = 3
    booting: int = 3
    login_denied: int = 1
    runs: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def host_key(self, address: str) -> str:
        self.addresses.append(address)
        if self.refused:
            self.refused -= 1
            raise ConnectionRefusedError(111, "Connection refused")
        return HOST_KEY

    def run(self, login: Login, command: str, timeout_s: float) -> Ran:
        del timeout_s
        assert HOST_KEY in login.known_hosts.read_text(encoding="ascii")
        self.runs.append(command)
        if self.login_denied:
            self.login_denied -= 1
            return Ran(255, "", "root@203.0.113.10: Permission denied (publickey).")
        if "cloud-init status" in command and self.booting:
            self.booting -= 1
            return Ran(2, "status: running\n", "")
        return Ran(0, "status: done\n", "")


def entry(tag: str = "rocminfra-id:1", **more: object) -> Entry:
    """A line of the ledger, as `intended`."""
    values = {
        "tag": tag,
        "name": "a",
        "at": START,
        "endpoint": "https://api.example.com",
        "account": "team-1",
        "team": "Team",
        "size": "s",
        "region": "r",
        "usd_per_hour": 1.99,
        "expires": START + 3600,
        "owner": BY_RUN,
    }
    return Entry(**{**values, **more})  # type: ignore[arg-type]


@dataclass
class World:
    """Everything that a test looks at afterwards."""

    stub: StubCloud
    time: TestClock
    reach: TestReach
    folder: StateFolder
    url: str
    said: list[str] = field(default_factory=list)

    def cloud(self, interrupts: Interrupts | None = None) -> Cloud:
        """As a new process sees it; asks whose token it is."""
        client = CloudClient(Access(self.url, Token(TOKEN)), self.time.clock, self.said.append, 0.3)
        self.folder.make()
        return Cloud(
            client,
            client.account(),
            Ledger(self.folder.ledger),
            self.folder,
            self.reach,
            interrupts or Interrupts(self.said.append),
            self.time.clock,
            self.said.append,
        )

    def offer(self, cloud: Cloud, **wanted: object) -> Offer:
        """What a plain `create --ssh-key laptop` would ask for."""
        keys: tuple[str, ...] = (str(KEY["name"]),)
        asked = Wanted(name="mi300x-1", ssh_keys=keys, **wanted)  # type: ignore[arg-type]
        found = offer(asked, cloud.client.sizes(), cloud.client.images(), cloud.client.ssh_keys())
        assert not isinstance(found, Failure), found
        return found

    def requests(self, method: str) -> Sequence[str]:
        return [path for asked, path in self.stub.log if asked == method]

    @property
    def ledger_text(self) -> str:
        return self.folder.ledger.read_text() if self.folder.ledger.exists() else ""


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A stub cloud that is served, with nothing in it; no token may stand anywhere afterwards."""
    time = TestClock()
    stub = StubCloud(lambda: time.now)
    with serving(stub) as url:
        made = World(stub, time, TestReach(), StateFolder(folder / "state"), url)
        yield made
    texts = [file.read_text() for file in folder.rglob("*") if file.is_file()]
    assert not any(TOKEN in text for text in [*texts, *made.said])
