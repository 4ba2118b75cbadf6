"""What the cloud's API says, as types.

The API is DigitalOcean's version 2, which the AMD Developer Cloud speaks too. Parsers take the
decoded JSON, look at no key that they do not need, and raise :class:`UnreadableAnswerError` for
what they cannot read: an answer that is half understood is where paid machines get lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.droplets.clock import seconds_of

GIB_PER_TIB = 1024


class UnreadableAnswerError(ValueError):
    """An answer that is not what the API's description says."""


@dataclass(frozen=True)
class Account:
    """Who a token belongs to.

    + uuid: the team's where there is one, else the account's
    + name: the team's name, or the account's e-mail address
    """

    uuid: str
    name: str


@dataclass(frozen=True)
class Size:
    """A kind of droplet.

    + usd_per_hour: price as the API says it, before tax
    + regions: where one can be created *now*; empty means nowhere
    + gpus: number of GPUs, 0 for a droplet without
    + vram_gib: memory of all GPUs together
    + scratch_gib: size of the scratch disk, None without one
    """

    slug: str
    usd_per_hour: float
    regions: tuple[str, ...]
    available: bool
    gpus: int
    gpu_model: str
    vram_gib: float
    vcpus: int
    memory_gib: float
    scratch_gib: float | None

    @property
    def creatable(self) -> bool:
        """A size can be `available` and have no region, which means: not to you, not now."""
        return self.available and bool(self.regions)


@dataclass(frozen=True)
class Region:
    slug: str
    name: str
    available: bool


@dataclass(frozen=True)
class Image:
    """An image to create from; ``slug`` is its id as text where it has no slug."""

    slug: str
    name: str
    regions: tuple[str, ...]


@dataclass(frozen=True)
class SshKey:
    id: int
    name: str
    fingerprint: str


@dataclass(frozen=True)
class CloudDroplet:
    """A droplet as the cloud shows it.

    + address: public IPv4 address, None until there is one
    + created: seconds since 1970
    + usd_per_hour: None where the API leaves its size out
    """

    id: int
    name: str
    status: str
    address: str | None
    tags: tuple[str, ...]
    created: float
    size: str
    region: str
    usd_per_hour: float | None
    scratch_gib: float | None

    def cost_usd(self, now: float) -> float | None:
        """What it has cost up to ``now``; it is billed by the second from its creation on, also
        while it is powered off."""
        if self.usd_per_hour is None:
            return None
        return max(0.0, now - self.created) / 3600 * self.usd_per_hour


def account_of(data: Any) -> Account:
    account = _mapping(_get(data, "account"))
    team = account.get("team")
    if isinstance(team, Mapping) and team.get("uuid"):
        return Account(str(team["uuid"]), str(team.get("name") or team["uuid"]))
    uuid = str(_get(account, "uuid"))
    return Account(uuid, str(account.get("email") or uuid))


def size_of(data: Any) -> Size:
    size = _mapping(data)
    gpu = size.get("gpu_info") if isinstance(size.get("gpu_info"), Mapping) else {}
    assert isinstance(gpu, Mapping)
    vram = gpu.get("vram")
    return Size(
        slug=str(_get(size, "slug")),
        usd_per_hour=_number(_get(size, "price_hourly")),
        regions=tuple(str(item) for item in size.get("regions") or ()),
        available=bool(size.get("available", True)),
        gpus=int(_number(gpu.get("count", 0))),
        gpu_model=str(gpu.get("model") or ""),
        vram_gib=_gib(vram) if isinstance(vram, Mapping) else 0.0,
        vcpus=int(_number(size.get("vcpus", 0))),
        memory_gib=_number(size.get("memory", 0)) / 1024,
        scratch_gib=_scratch_gib(size.get("disk_info")),
    )


def region_of(data: Any) -> Region:
    region = _mapping(data)
    slug = str(_get(region, "slug"))
    return Region(slug, str(region.get("name") or slug), bool(region.get("available", True)))


def image_of(data: Any) -> Image:
    image = _mapping(data)
    slug = str(image.get("slug") or _get(image, "id"))
    regions = tuple(str(item) for item in image.get("regions") or ())
    return Image(slug, str(image.get("name") or slug), regions)


def ssh_key_of(data: Any) -> SshKey:
    key = _mapping(data)
    return SshKey(
        int(_number(_get(key, "id"))),
        str(key.get("name") or ""),
        str(key.get("fingerprint") or ""),
    )


def droplet_of(data: Any) -> CloudDroplet:
    droplet = _mapping(data)
    size = droplet.get("size")
    known = size_of(size) if isinstance(size, Mapping) and "price_hourly" in size else None
    created = seconds_of(str(_get(droplet, "created_at")))
    if created is None:
        raise UnreadableAnswerError(f"created_at is not a time: {droplet['created_at']!r}")
    region = droplet.get("region")
    return CloudDroplet(
        id=int(_number(_get(droplet, "id"))),
        name=str(_get(droplet, "name")),
        status=str(droplet.get("status") or "new"),
        address=_public_address(droplet.get("networks")),
        tags=tuple(str(tag) for tag in droplet.get("tags") or ()),
        created=created,
        size=str(droplet.get("size_slug") or (known.slug if known else "")),
        region=str(region.get("slug") if isinstance(region, Mapping) else region or ""),
        usd_per_hour=known.usd_per_hour if known else None,
        scratch_gib=known.scratch_gib if known else _scratch_gib(droplet.get("disk_info")),
    )


def _public_address(networks: Any) -> str | None:
    for item in _mapping(networks).get("v4") or () if networks else ():
        if isinstance(item, Mapping) and item.get("type") == "public" and item.get("ip_address"):
            return str(item["ip_address"])
    return None


def _scratch_gib(disks: Any) -> float | None:
    """``disk_info: [{"type": "scratch", "size": {"amount": 40960, "unit": "gib"}}]``."""
    found = [
        _gib(disk.get("size"))
        for disk in disks or ()
        if isinstance(disk, Mapping) and disk.get("type") == "scratch"
    ]
    return sum(found) if found else None


def _gib(amount: Any) -> float:
    size = _mapping(amount)
    number = _number(_get(size, "amount"))
    unit = str(size.get("unit") or "gib").lower()
    if unit in ("gib", "gb"):
        return number
    if unit in ("tib", "tb"):
        return number * GIB_PER_TIB
    raise UnreadableAnswerError(f"unknown unit of a size: {unit!r}")


def _mapping(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise UnreadableAnswerError(f"an object was expected, not {type(data).__name__}")
    return data


def _get(data: Any, key: str) -> Any:
    mapping = _mapping(data)
    if mapping.get(key) is None:
        raise UnreadableAnswerError(f"'{key}' is missing")
    return mapping[key]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnreadableAnswerError(f"a number was expected, not {value!r}")
    return float(value)
