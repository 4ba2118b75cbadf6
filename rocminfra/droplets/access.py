"""Which cloud is asked, and with whose token.

The token comes from the environment or a file and goes into one header: into no message, file,
argument or child process, and onto no droplet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rocminfra.failure import Do, FailedError, Failure, Fault

AMD = "https://api.devcloud.amd.com"
DIGITALOCEAN = "https://api.digitalocean.com"

PREFIX = "ROCMINFRA_DROPLET_"
TOKEN = PREFIX + "TOKEN"
TOKEN_FILE = PREFIX + "TOKEN_FILE"
ENDPOINT = PREFIX + "ENDPOINT"

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")

# Where a person makes a token for a host that is asked.
_CONSOLES = {
    "api.devcloud.amd.com": "https://devcloud.amd.com, API in the menu on the left",
    "api.digitalocean.com": "https://cloud.digitalocean.com/account/api/tokens",
}


class Token:
    """A secret that does not show itself."""

    def __init__(self, value: str) -> None:
        self._value = value

    def header(self) -> dict[str, str]:
        """The header that carries it; the only place from which it can be had."""
        return {"Authorization": f"Bearer {self._value}"}

    def __repr__(self) -> str:
        return "Token(…)"


@dataclass(frozen=True)
class Access:
    """Where requests go, and the token that they carry."""

    endpoint: str
    token: Token

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or self.endpoint


def is_configured(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a token at all."""
    return any(environ.get(name, "").strip() for name in (TOKEN, TOKEN_FILE))


def read_access(environ: Mapping[str, str], endpoint: str | None = None) -> Access:
    """The cloud and the token that the environment names.

    + environ: usually ``os.environ``
    + endpoint: URL of the API that wins over the environment's

    Raises :class:`FailedError`: 3 for an endpoint that cannot be used, 4 without a usable token.
    """
    url = checked_endpoint(endpoint or environ.get(ENDPOINT, "").strip() or AMD)
    value, where = _token(environ, url)
    if not _PRINTABLE.match(value):
        raise FailedError.of(
            Failure(
                Fault.CLOUD_TOKEN_UNREADABLE,
                f"{where} holds no token: it is empty, or has spaces or line breaks within",
                next=Do(f"make one: {console(url)}"),
            )
        )
    return Access(url, Token(value))


def console(endpoint: str) -> str:
    """Where a token for this endpoint is made."""
    host = urlsplit(endpoint).hostname or ""
    return _CONSOLES.get(host, f"the console of the cloud behind {host}")


def checked_endpoint(url: str) -> str:
    """The endpoint without a slash at its end.

    Raises :class:`FailedError` (3) when it is not a URL, holds a login, or would send the token in
    the clear.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    usage = Do(f"export {ENDPOINT}={AMD}   # or {DIGITALOCEAN}")
    if parts.username is not None or "@" in parts.netloc:
        what = "the cloud's endpoint must hold no user name or password"
        raise FailedError.of(Failure(Fault.CLOUD_ENDPOINT_INVALID, what, next=usage))
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        what = f"the cloud's endpoint must be a URL such as {AMD}, not {url!r}"
        raise FailedError.of(Failure(Fault.CLOUD_ENDPOINT_INVALID, what, next=usage))
    if parts.scheme == "http" and host not in _LOOPBACK:
        what = f"the cloud's endpoint must begin with https://: {url} would show the token"
        raise FailedError.of(Failure(Fault.CLOUD_ENDPOINT_INVALID, what, next=usage))
    return url.rstrip("/")


def _token(environ: Mapping[str, str], endpoint: str) -> tuple[str, str]:
    direct = environ.get(TOKEN, "").strip()
    file = environ.get(TOKEN_FILE, "").strip()
    if direct:
        return direct, TOKEN
    if not file:
        raise FailedError.of(
            Failure(
                Fault.CLOUD_TOKEN_MISSING,
                f"no token for {urlsplit(endpoint).hostname}: neither {TOKEN} nor {TOKEN_FILE} "
                "is set",
                next=Do(f"make one ({console(endpoint)}), then: export {TOKEN_FILE}=FILE"),
            )
        )
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip(), file
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise FailedError.of(
            Failure(
                Fault.CLOUD_TOKEN_UNREADABLE,
                f"the token's file cannot be read: {file}: {reason}",
                next=Do(f"export {TOKEN_FILE}=FILE, or {TOKEN}=…"),
            )
        ) from None
