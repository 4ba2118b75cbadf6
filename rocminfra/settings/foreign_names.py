"""Names that others gave and others read: an image, a package, a revision, an index, a model.

What they refuse minutes later, on the host, is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

# The grammar of distribution/reference: host with port, path of lower-case names, tag, digest.
# A first part without dot and port is no host but a user of Docker Hub.
_DOMAIN = (
    r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:[0-9])|\[[0-9A-Fa-f:]+\])"
    r"(?::[0-9]{1,5})?"
)
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
# deb-version(7) and Debian's policy, 5.6.1.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[0-9][A-Za-z0-9.+:~-]*)?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_MOUNT_OPTION = re.compile(r"[A-Za-z0-9][^\s,#\"\\]*")
_USELESS_OPTIONS = {
    "ro": "nothing can be written to the scratch disk",
    "noauto": "the scratch disk is not mounted after a restart of the host",
    "noexec": "the engine cannot load what its compilers leave in their caches there",
}
_LOCAL = ("127.0.0.1", "localhost", "::1")
# What hides GPUs from an engine, and what names one: its position, or its UUID.
HIDING = (
    *("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"),
)
_GPU = re.compile(r"[0-9]{1,3}|GPU-[0-9A-Za-z-]+")


def image_reference(text: str) -> str:
    """An image as Docker names it; raises ValueError otherwise, as all functions here do."""
    if "://" in text:
        raise ValueError("must be an image's name, not a URL: leave out what ends with ://")
    if _IMAGE_ID.fullmatch(f"sha256:{text}"):
        raise ValueError(f"must say that it is an image's id: sha256:{text}")
    if _IMAGE.fullmatch(text) or _IMAGE_ID.fullmatch(text):
        return text
    hint = " (a repository's name has no capital letters)" if _IMAGE.fullmatch(text.lower()) else ""
    raise ValueError(
        "must be an image such as vllm/vllm-openai-rocm:v0.20.1, or …@sha256: and 64 digits"
        f"{hint}, not {text!r}"
    )


def package_name(text: str) -> str:
    """A package as apt names it, with a version or without."""
    if not _PACKAGE.fullmatch(text):
        raise ValueError(f"must be a package such as docker.io or docker-ce, not {text!r}")
    return text


def revision(text: str) -> str:
    """A commit, tag or branch of the hub."""
    if not _REVISION.fullmatch(text) or ".." in text or text.endswith(("/", ".lock")):
        raise ValueError(f"must be a commit, a tag or a branch, not {text!r}")
    return text


def served_name(text: str) -> str:
    """A name under which clients ask for a model: one that can be seen and typed."""
    if text != text.strip() or not text.isprintable():
        raise ValueError(
            f"must be a name without blanks around it and without invisible signs, not {text!r}"
        )
    if text.startswith("-"):
        raise ValueError(f"must not begin with '-', which begins an option, as {text!r} does")
    return text


def mount_option(text: str) -> str:
    """One option of a mount, as fstab(5) takes it."""
    if "," in text:
        raise ValueError(f"must be one option an item: [{', '.join(text.split(','))}]")
    if text in _USELESS_OPTIONS:
        raise ValueError(f"must not be {text}, with which {_USELESS_OPTIONS[text]}")
    if not _MOUNT_OPTION.fullmatch(text):
        raise ValueError(
            f"must be an option of mount without blanks, such as noatime, not {text!r}"
        )
    return text


def hub_url(url: str) -> str:
    """The token goes to this address, so it goes there over TLS, or stays on the host."""
    parts = _parts(url, "https://hub.example.org")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise ValueError(
            f"must begin with https://; http:// would show the token on its way to {parts.hostname}"
        )
    return url


def index_url(url: str) -> str:
    """An index that pip reads on the host."""
    if url.startswith("file:///"):
        return url
    _parts(url, "https://download.example.org/whl/cpu")
    return url


def gpu_lists(environment: Mapping[str, str]) -> None:
    """Refuse a list of GPUs that names none: it would end there, and hide all that follow."""
    for name in HIDING:
        for word in environment.get(name, "").split(","):
            if word.strip() and not _GPU.fullmatch(word.strip()) and word.strip() != "-1":
                raise ValueError(
                    f"{name} must name GPUs by their positions from 0 on, such as 0,1, or by their "
                    f"UUIDs (GPU-…), not {word.strip()!r}"
                )


def visible_gpus(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Which variable leaves the fewest GPUs, and how many; None when none of them says so.

    A list ends where it names no GPU, and HIP numbers what ROCr has left.
    """
    counts: list[tuple[str, int]] = []
    of_rocr: int | None = None
    for name in HIDING:
        # ROCr takes an empty list for none, HIP for nothing said.
        if name not in environment or not (environment[name].strip() or name == HIDING[0]):
            continue
        named: list[str] = []
        for word in map(str.strip, environment[name].split(",")):
            is_beyond = of_rocr is not None and word.isdecimal() and int(word) >= of_rocr
            if is_beyond or not _GPU.fullmatch(word):
                break
            named += [word] if word not in named else []
        if name == HIDING[0]:
            of_rocr = len(named)
        counts.append((name, len(named)))
    return min(counts, key=lambda pair: pair[1], default=None)


def _parts(url: str, example: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # refuses what is no port
    except ValueError:
        raise ValueError(f"must be a URL such as {example}") from None
    if parts.username is not None or "@" in parts.netloc:
        raise ValueError("must hold no user name or password; secrets belong in no settings")
    is_odd = "\\" in url or '"' in url or " " in url or not url.isprintable()
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or ".." in host or is_odd:
        raise ValueError(f"must be a URL such as {example}")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError(f"must be a URL without '?' and '#', such as {example}")
    return parts
