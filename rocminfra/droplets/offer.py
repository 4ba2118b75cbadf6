"""What will be created, where, and what it costs at most: decided before anything is spent.

Pure: what the cloud has goes in, an offer or a refusal comes out.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rocminfra.droplets.records import Image, Size, SshKey
from rocminfra.failure import Do, Failure, Fault

# AMD's image with the driver and without Docker or a container of its own.
DEFAULT_IMAGE = "gpu-amd-base"
# The droplet of the published reference run; its slug is looked up, because slugs change.
DEFAULT_GPU, DEFAULT_GPUS = "amd_mi300x", 1
DEFAULT_MAX_HOURS = 3.0
LONGEST_HOURS = 24.0 * 14
# "GPU Droplets are billed by the second with a minimum of five minutes."
LEAST_HOURS = 5 / 60


@dataclass(frozen=True)
class Wanted:
    """What the operator asks for.

    + name: the droplet's name
    + size: slug, None for the cheapest with one MI300X
    + region: slug, None for any that has the size
    + ssh_keys: names, ids or fingerprints of keys in the account
    + max_hours: life at most; None for what ``max_usd`` allows, or 3 hours
    + max_usd: cost at most
    """

    name: str
    size: str | None = None
    region: str | None = None
    image: str = DEFAULT_IMAGE
    ssh_keys: tuple[str, ...] = ()
    max_hours: float | None = None
    max_usd: float | None = None


@dataclass(frozen=True)
class Offer:
    """What one request will ask for.

    + hours: how long the droplet may live
    + usd: what it costs at most in that time
    """

    name: str
    size: Size
    region: str
    image: str
    ssh_keys: tuple[SshKey, ...]
    hours: float
    usd: float


def offer(
    wanted: Wanted,
    sizes: Sequence[Size],
    images: Sequence[Image],
    keys: Sequence[SshKey],
    own_public_keys: Sequence[str] = (),
) -> Offer | Failure:
    """What to create, or why not.

    + own_public_keys: lines of the operator's public key files, from which keys are chosen when
      none is named
    """
    size = _size(wanted.size, sizes)
    if isinstance(size, Failure):
        return size
    region = _region(wanted.region, size, sizes)
    if isinstance(region, Failure):
        return region
    image = _image(wanted.image, region, images)
    if isinstance(image, Failure):
        return image
    chosen = _keys(wanted.ssh_keys, keys, own_public_keys)
    if isinstance(chosen, Failure):
        return chosen
    hours = _hours(wanted, size)
    if isinstance(hours, Failure):
        return hours
    usd = size.usd_per_hour * max(hours, LEAST_HOURS)
    return Offer(wanted.name, size, region, image, chosen, hours, usd)


def fingerprint(public_key: str) -> str | None:
    """The MD5 fingerprint (``aa:bb:…``) that the cloud shows for a line of a public key file."""
    words = public_key.split()
    if len(words) < 2:
        return None
    try:
        digest = hashlib.md5(base64.b64decode(words[1], validate=True), usedforsecurity=False)
    except binascii.Error:
        return None
    text = digest.hexdigest()
    return ":".join(text[place : place + 2] for place in range(0, 32, 2))


def _size(slug: str | None, sizes: Sequence[Size]) -> Size | Failure:
    if slug is None:
        fitting = [
            size for size in sizes if size.gpu_model == DEFAULT_GPU and size.gpus == DEFAULT_GPUS
        ]
        creatable = [size for size in fitting if size.creatable]
        if creatable:
            return min(creatable, key=lambda size: (size.usd_per_hour, size.slug))
        what = "no droplet with one MI300X can be created now"
        why = tuple(f"{size.slug}: no region has one" for size in fitting) or _no_gpus(sizes)
        return Failure(Fault.CLOUD_NO_CAPACITY, what, why, Do("rocminfra droplet sizes"))
    found = next((size for size in sizes if size.slug == slug), None)
    if found is not None:
        return found
    near = difflib.get_close_matches(slug, [size.slug for size in sizes], n=1, cutoff=0.5)
    gpus = ", ".join(size.slug for size in sizes if size.gpus)
    return Failure(
        Fault.SIZE_UNKNOWN,
        f"this cloud has no size '{slug}'" + (f"; did you mean '{near[0]}'?" if near else ""),
        (f"sizes with GPUs: {gpus}",) if gpus else _no_gpus(sizes),
        Do("rocminfra droplet sizes"),
    )


def _no_gpus(sizes: Sequence[Size]) -> tuple[str, ...]:
    return (
        f"none of the {len(sizes)} sizes that this token sees has a GPU: "
        "is the endpoint the right cloud, and has the team access to GPUs?",
    )


def _region(slug: str | None, size: Size, sizes: Sequence[Size]) -> str | Failure:
    if size.creatable and slug is None:
        return size.regions[0]
    if size.creatable and slug in size.regions:
        return str(slug)
    return no_capacity(size, slug, sizes)


def no_capacity(size: Size, region: str | None, sizes: Sequence[Size]) -> Failure:
    """The refusal of a size that a region does not have, with what there is instead."""
    why = []
    following = "rocminfra droplet sizes"
    others = tuple(item for item in size.regions if item != region) if size.available else ()
    if others:
        why.append(f"{size.slug} can be created in: {', '.join(others)}")
        following = f"--region {others[0]}"
    else:
        why.append(f"no region has a {size.slug} now")
        same = [
            item
            for item in sizes
            if item.creatable and item.gpus == size.gpus > 0 and item.slug != size.slug
        ]
        for item in sorted(same, key=lambda item: item.usd_per_hour)[:3]:
            regions = ", ".join(item.regions)
            why.append(f"there is {item.slug} at ${item.usd_per_hour:.2f} an hour in: {regions}")
    where = f"in region '{region}'" if region else "anywhere"
    what = f"{size.slug} cannot be created {where} now"
    return Failure(Fault.CLOUD_NO_CAPACITY, what, tuple(why), Do(following))


def _image(slug: str, region: str, images: Sequence[Image]) -> str | Failure:
    found = next((image for image in images if image.slug == slug), None)
    if found is None and not slug.isdigit():
        slugs = [image.slug for image in images]
        near = difflib.get_close_matches(slug, slugs, n=3, cutoff=0.4)
        what = f"this cloud has no image '{slug}'"
        why = (f"similar: {', '.join(near)}",) if near else ()
        return Failure(Fault.IMAGE_UNKNOWN, what, why, Do("rocminfra droplet sizes --images"))
    if found is not None and found.regions and region not in found.regions:
        what = f"image '{slug}' is not there in region '{region}'"
        why = (f"it is in: {', '.join(found.regions)}",)
        return Failure(Fault.IMAGE_NOT_IN_REGION, what, why, Do(f"--region {found.regions[0]}"))
    return slug


def _keys(
    named: Sequence[str], keys: Sequence[SshKey], own: Sequence[str]
) -> tuple[SshKey, ...] | Failure:
    shown = ", ".join(f"{key.name} ({key.id})" for key in keys) or "none"
    if not named:
        prints = {fingerprint(line) for line in own}
        matching = tuple(key for key in keys if key.fingerprint in prints)
        if matching:
            return matching
        return Failure(
            Fault.SSH_KEY_NOT_CHOSEN,
            "which SSH key? None of ~/.ssh/*.pub is in the cloud's account",
            (f"keys in the account: {shown}",),
            Do("--ssh-key NAME, or add your public key in the console"),
        )
    chosen = []
    for item in named:
        matches = [key for key in keys if item in (str(key.id), key.name, key.fingerprint)]
        if len(matches) != 1:
            what = f"{len(matches)} SSH keys of" if matches else "no SSH key in"
            return Failure(
                Fault.SSH_KEY_UNKNOWN,
                f"{what} the cloud's account is called '{item}'",
                (f"keys in the account: {shown}",),
                Do("--ssh-key ID, with an id from above"),
            )
        chosen.append(matches[0])
    return tuple(dict.fromkeys(chosen))


def _hours(wanted: Wanted, size: Size) -> float | Failure:
    price = size.usd_per_hour
    hours = wanted.max_hours
    if hours is None:
        affordable = wanted.max_usd / price if wanted.max_usd is not None and price else None
        hours = min(DEFAULT_MAX_HOURS, affordable) if affordable is not None else DEFAULT_MAX_HOURS
    least = price * LEAST_HOURS
    if wanted.max_usd is not None and price * max(hours, LEAST_HOURS) > wanted.max_usd * 1.000001:
        possible = wanted.max_usd / price
        why = [f"{size.slug} is ${price:.2f} an hour; {hours:g} h are ${price * hours:.2f}"]
        if wanted.max_usd < least:
            why.append(f"the least that is billed, five minutes, is ${least:.2f}")
            following = f"--max-usd {least:.2f}"
        else:
            # Rounded down: what is proposed must hold.
            following = f"--max-hours {int(possible * 100) / 100:g}"
        return Failure(
            Fault.COST_LIMIT,
            f"that may cost more than ${wanted.max_usd:.2f}",
            tuple(why),
            Do(following),
        )
    return hours
