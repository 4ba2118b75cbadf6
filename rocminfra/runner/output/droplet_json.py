"""Droplets for programs, in the form that ``schemas/droplet.json`` publishes."""

from __future__ import annotations

from typing import Any

from rocminfra import __version__
from rocminfra.droplets.clock import iso
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.known import Known
from rocminfra.droplets.offer import Offer
from rocminfra.droplets.records import Image, Size
from rocminfra.failure import Failure, again_words, next_words

SCHEMA_VERSION = 1


def document(verb: str, code: int, cloud: Cloud | None, **content: Any) -> dict[str, Any]:
    """What every droplet verb prints with ``--json``.

    + verb: such as ``droplet list``
    + cloud: None when it could not be reached
    """
    team = None
    if cloud is not None:
        endpoint = cloud.client.access.endpoint
        team = {"uuid": cloud.account.uuid, "name": cloud.account.name, "endpoint": endpoint}
    empty: dict[str, Any] = {"droplets": [], "failures": [], "error": None}
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": verb,
        "code": int(code),
        "team": team,
        **empty,
        **content,
    }


def droplet_data(item: Known, now: float) -> dict[str, Any]:
    """One droplet."""
    droplet, entry = item.droplet, item.entry
    return {
        "name": item.name,
        "id": item.id,
        "status": droplet.status if droplet else None,
        "address": droplet.address if droplet else None,
        "size": droplet.size if droplet else entry.size if entry else None,
        "region": droplet.region if droplet else entry.region if entry else None,
        "tags": list(droplet.tags) if droplet else [],
        "created": iso(droplet.created) if droplet else iso(entry.at) if entry else None,
        "expires": iso(item.expires) if item.expires is not None else None,
        "usd_per_hour": item.usd_per_hour,
        "cost_usd": item.cost_usd(now),
        "ours": item.is_ours,
        "in_ledger": entry is not None,
    }


def size_data(size: Size) -> dict[str, Any]:
    """One size."""
    return {
        "slug": size.slug,
        "usd_per_hour": size.usd_per_hour,
        "regions": list(size.regions),
        "creatable": size.creatable,
        "gpus": size.gpus,
        "gpu_model": size.gpu_model,
        "vram_gib": size.vram_gib,
        "vcpus": size.vcpus,
        "memory_gib": size.memory_gib,
        "scratch_gib": size.scratch_gib,
    }


def image_data(image: Image) -> dict[str, Any]:
    """One image."""
    return {"slug": image.slug, "name": image.name, "regions": list(image.regions)}


def offer_data(offer: Offer) -> dict[str, Any]:
    """What was, or would be, created."""
    return {
        "name": offer.name,
        "size": offer.size.slug,
        "region": offer.region,
        "image": offer.image,
        "usd_per_hour": offer.size.usd_per_hour,
        "max_hours": offer.hours,
        "max_usd": offer.usd,
    }


def failure_data(failure: Failure) -> dict[str, Any]:
    """Why a command ended."""
    step = failure.next
    return {
        "code": int(failure.kind),
        "kind": failure.kind.name.lower(),
        "fault": failure.fault.code,
        "what": failure.what,
        "why": list(failure.why),
        "next_command": None if step is None else next_words(step, again_words),
    }
