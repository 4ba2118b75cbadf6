"""The state of the stub cloud, and what it answers; :mod:`droplet_stub` serves it over HTTP.

What it does without a fault is what the AMD Developer Cloud does: GPU droplets are in no list but
``type=gpus``, creation answers 202 before there is an address, a destroyed droplet stays in the
list for a moment, lists come in pages.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

TOKEN = "dop_v1_stub-token-that-nobody-may-see"
KEY = {"id": 11, "name": "laptop", "fingerprint": "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99"}
GPU_SIZE = "gpu-mi300x1-192gb-devcloud"
GPU_REGION = "atl1"


class Machines(Protocol):
    """What is behind the stub: nothing, or the lab."""

    def make(self, name: str) -> str:
        """Make a machine and return its address."""

    def remove(self, name: str) -> None:
        """Take it away."""


class NoMachines:
    """Addresses of the documentation's network, with nothing there."""

    def __init__(self) -> None:
        self._count = 0

    def make(self, name: str) -> str:
        del name
        self._count += 1
        return f"203.0.113.{9 + self._count}"

    def remove(self, name: str) -> None:
        del name


@dataclass
class Fault:
    """Something that goes wrong with a request.

    + kind: a key of ``droplet_stub.FAULTS``
    + method, path: which requests; ``path`` is a regular expression for path and query
    + times: how many of them
    + after: only from the ``after``-th such request on
    """

    kind: str
    method: str
    path: str
    times: int = 1_000_000
    after: int = 0
    seen: int = 0

    def strikes(self, method: str, path: str) -> bool:
        if method != self.method or not re.search(self.path, path):
            return False
        self.seen += 1
        return self.after < self.seen <= self.after + self.times


@dataclass
class StubDroplet:
    id: int
    body: dict[str, Any]
    created: float
    address: str
    destroyed: float | None = None

    @property
    def name(self) -> str:
        return str(self.body["name"])


def sizes() -> list[dict[str, Any]]:
    """Sizes as the API lists them, prices of September 2026."""

    def gpu(slug: str, count: int, price: float, regions: list[str], scratch: int) -> Any:
        return {
            "slug": slug,
            "price_hourly": price,
            "regions": regions,
            "available": True,
            "vcpus": 20 * count,
            "memory": 245760 * count,
            "gpu_info": {
                "count": count,
                "model": "amd_mi300x",
                "vram": {"amount": 192 * count, "unit": "gib"},
            },
            "disk_info": [
                {"type": "local", "size": {"amount": 720, "unit": "gib"}},
                {"type": "scratch", "size": {"amount": scratch, "unit": "gib"}},
            ],
        }

    plain = {
        "slug": "s-1vcpu-1gb",
        "price_hourly": 0.00893,
        "regions": ["atl1", "nyc3"],
        "available": True,
        "vcpus": 1,
        "memory": 1024,
        "disk_info": [{"type": "local", "size": {"amount": 25, "unit": "gib"}}],
    }
    return [
        plain,
        gpu(GPU_SIZE, 1, 1.99, [GPU_REGION], 5120),
        gpu("gpu-mi300x1-192gb", 1, 2.59, [], 5120),
        gpu("gpu-mi300x8-1536gb-devcloud", 8, 15.92, [GPU_REGION, "tor1"], 40960),
    ]


@dataclass
class StubCloud:
    """The cloud's state, and what goes wrong with it.

    + now: time, seconds since 1970
    + active_after_s, address_after_s: None for never
    + moves_after_s: when a droplet gets another address
    + errored: creation is accepted and ends with an error
    + lingers_s: how long a destroyed droplet stays in the list
    """

    now: Callable[[], float]
    machines: Machines = field(default_factory=NoMachines)
    token: str = TOKEN
    team: str = "team-1"
    active_after_s: float | None = 20.0
    address_after_s: float | None = 25.0
    moves_after_s: float | None = None
    errored: bool = False
    lingers_s: float = 8.0
    page_size: int = 2
    droplets: list[StubDroplet] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    on_request: Callable[[str, str], None] = lambda _method, _path: None
    sizes: list[dict[str, Any]] = field(default_factory=sizes)
    keys: list[dict[str, Any]] = field(default_factory=lambda: [KEY])
    lock: Any = field(default_factory=threading.RLock)

    @property
    def alive(self) -> list[StubDroplet]:
        """Droplets that cost money."""
        return [droplet for droplet in self.droplets if droplet.destroyed is None]

    def create(self, body: dict[str, Any]) -> tuple[int, Any]:
        known = next((size for size in self.sizes if size["slug"] == body["size"]), None)
        if known is None:
            return 422, {"id": "unprocessable_entity", "message": "You specified an invalid size."}
        if body["region"] not in known["regions"]:
            message = "Size is not available in this region."
            return 422, {"id": "unprocessable_entity", "message": message}
        number = 500_000_001 + len(self.droplets)
        address = self.machines.make(str(body["name"]))
        self.droplets.append(StubDroplet(number, body, self.now(), address))
        action = {"id": number + 7, "rel": "create", "href": "https://api.invalid/v2/actions"}
        return 202, {"droplet": self.shown(self.droplets[-1]), "links": {"actions": [action]}}

    def destroy(self, number: int) -> int:
        for droplet in self.alive:
            if droplet.id == number:
                droplet.destroyed = self.now()
                self.machines.remove(droplet.name)
                return 204
        return 404

    def visible(self) -> list[StubDroplet]:
        """What lists show: also what was destroyed a moment ago."""
        return [
            droplet
            for droplet in self.droplets
            if droplet.destroyed is None or self.now() - droplet.destroyed < self.lingers_s
        ]

    def shown(self, droplet: StubDroplet) -> dict[str, Any]:
        age = self.now() - droplet.created
        size = next(size for size in self.sizes if size["slug"] == droplet.body["size"])
        active = not self.errored and self.active_after_s is not None and age >= self.active_after_s
        public = []
        if active and self.address_after_s is not None and age >= self.address_after_s:
            moved = self.moves_after_s is not None and age >= self.moves_after_s
            address = "203.0.113.250" if moved else droplet.address
            public = [{"ip_address": address, "type": "public"}]
        created = datetime.fromtimestamp(droplet.created, timezone.utc)
        return {
            "id": droplet.id,
            "name": droplet.name,
            "status": "active" if active else "new",
            "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tags": droplet.body.get("tags", []),
            "size": size,
            "size_slug": size["slug"],
            "region": {"slug": droplet.body["region"], "name": "Atlanta 1"},
            "networks": {"v4": [{"ip_address": "10.0.0.2", "type": "private"}, *public], "v6": []},
        }

    def answer(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """What a request without a fault gets."""
        parts = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if method == "POST" and parts.path == "/v2/droplets":
            return self.create(body)
        one = re.fullmatch(r"/v2/droplets/(\d+)", parts.path)
        if one and method == "DELETE":
            status = self.destroy(int(one[1]))
            return status, None if status == 204 else {"id": "not_found", "message": "gone"}
        if one:
            found = [item for item in self.visible() if item.id == int(one[1])]
            if not found:
                return 404, {"id": "not_found", "message": "The resource could not be found."}
            return 200, {"droplet": self.shown(found[0])}
        if parts.path.startswith("/v2/actions/"):
            return 200, {"action": {"status": "errored" if self.errored else "in-progress"}}
        if parts.path == "/v2/account":
            team = {"uuid": self.team, "name": f"Team {self.team}"}
            account = {"uuid": "account-1", "email": "ops@example.com", "team": team}
            return 200, {"account": account}
        listed = self._list(parts.path, query)
        if listed is None:
            return 404, {"id": "not_found", "message": "The resource could not be found."}
        return self._page(*listed, query)

    def _list(self, path: str, query: dict[str, str]) -> tuple[str, list[Any]] | None:
        if path == "/v2/droplets":
            gpus = query.get("type") == "gpus"
            shown = [self.shown(item) for item in self.visible()]
            return "droplets", [item for item in shown if gpus == ("gpu_info" in item["size"])]
        lists = {
            "/v2/sizes": ("sizes", self.sizes),
            "/v2/regions": ("regions", [{"slug": "atl1", "name": "Atlanta 1"}]),
            "/v2/images": (
                "images",
                [
                    {"id": 1, "slug": "ubuntu-24-04-x64", "name": "24.04 (LTS) x64"},
                    {"id": 2, "slug": "gpu-amd-base", "name": "AMD AI/ML Ready"},
                    {"id": 3, "slug": "amddevelopercloud-vllm0201", "name": "vLLM 0.20.1"},
                ],
            ),
            "/v2/account/keys": ("ssh_keys", self.keys),
        }
        return lists.get(path)

    def _page(self, key: str, items: list[Any], query: dict[str, str]) -> tuple[int, Any]:
        page = int(query.get("page", "1"))
        size = min(int(query.get("per_page", "20")), self.page_size)
        chunk = items[(page - 1) * size : page * size]
        more = len(items) > page * size
        pages = {"next": f"https://elsewhere.invalid/v2?page={page + 1}"} if more else {}
        return 200, {key: chunk, "links": {"pages": pages}, "meta": {"total": len(items)}}
