"""Droplets for people: tables on stdout, messages on stderr that never fail."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from rocminfra.droplets.clock import iso, lasting
from rocminfra.droplets.known import Known
from rocminfra.droplets.offer import LEAST_HOURS, Offer
from rocminfra.droplets.records import Account, Image, Size
from rocminfra.runner.output.tables import table_lines


def say(line: str) -> None:
    """A line on stderr; a terminal that was closed meanwhile must not keep a droplet alive."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def size_lines(sizes: Sequence[Size]) -> list[str]:
    """Sizes with their prices, the creatable first."""
    rows = [("size", "$/h", "GPUs", "VRAM", "vCPUs", "memory", "scratch", "regions now")]
    for size in sorted(sizes, key=lambda item: (not item.creatable, item.usd_per_hour)):
        rows.append(
            (
                size.slug,
                f"{size.usd_per_hour:.2f}",
                str(size.gpus) if size.gpus else "-",
                f"{size.vram_gib:.0f} GiB" if size.gpus else "-",
                str(size.vcpus),
                f"{size.memory_gib:.0f} GiB",
                f"{size.scratch_gib:.0f} GiB" if size.scratch_gib else "-",
                ", ".join(size.regions) if size.creatable else "none: cannot be created",
            )
        )
    return table_lines(rows)


def image_lines(images: Sequence[Image]) -> list[str]:
    """Images with their slugs."""
    return table_lines([("image", "name"), *((image.slug, image.name) for image in images)])


def droplet_lines(found: Sequence[Known], now: float) -> list[str]:
    """Droplets with what they have cost up to now."""
    rows = [("droplet", "id", "status", "address", "size", "region", "cost", "$/h", "until")]
    for item in found:
        droplet, entry = item.droplet, item.entry
        cost, until = item.cost_usd(now), item.expires
        rows.append(
            (
                item.name,
                str(item.id or "?"),
                droplet.status if droplet else "not in the list",
                (droplet.address if droplet else None) or "-",
                droplet.size if droplet else entry.size if entry else "-",
                droplet.region if droplet else entry.region if entry else "-",
                f"${cost:.2f}" if cost is not None else "?",
                f"{item.usd_per_hour:.2f}" if item.usd_per_hour is not None else "?",
                _until(until, now),
            )
        )
    return table_lines(rows)


def offer_lines(offer: Offer, account: Account, host: str) -> list[str]:
    """What is about to be created, and what it costs."""
    price = offer.size.usd_per_hour
    gpus = f"{offer.size.gpus} × {offer.size.gpu_model}, " if offer.size.gpus else ""
    least = price * LEAST_HOURS
    return [
        f"droplet   {offer.name}",
        f"team      {account.name} at {host}",
        f"size      {offer.size.slug} ({gpus}{offer.size.vcpus} vCPUs) in {offer.region}",
        f"image     {offer.image}",
        f"SSH keys  {', '.join(key.name for key in offer.ssh_keys)}",
        f"price     ${price:.2f} an hour, billed by the second until it is destroyed, "
        f"${least:.2f} at least",
        f"at most   ${offer.usd:.2f} in {offer.hours:g} h",
    ]


def _until(until: float | None, now: float) -> str:
    if until is None:
        return "for ever: no expiry tag"
    return f"{iso(until)}, {'over' if until <= now else lasting(until - now)}"
