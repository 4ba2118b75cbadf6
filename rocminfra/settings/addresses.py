"""Addresses: what may be one, and where something that listens on one is reached."""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?"
)
_NUMBERS = re.compile(r"[0-9.]+|0[xX][0-9A-Fa-f]+")
_LOGIN = re.compile(r"[^\W-][\w.@\\+$-]{0,63}")
_EVERYBODY = ipaddress.IPv4Address("255.255.255.255")
_WITH_PORT = re.compile(r"(?P<address>[^:\[\]]+|\[[^\]]*\]):(?P<port>[0-9]+)")


def address(text: str) -> str:
    """A host's name or IP address; raises ValueError with what to write instead.

    Numbers that only old resolvers take for an address (``10.1``, ``203.0.113.010``) are refused:
    they mean something else than they look like.
    """
    if "://" in text or "/" in text:
        raise ValueError("must be a name or an address, not a URL or a network")
    if "@" in text:
        raise ValueError("must be a name or an address alone; the login is another key (ssh_user)")
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        raise ValueError(
            f"must be a name or an address alone; the port {with_port['port']} is another key"
        )
    if text.startswith("["):
        raise ValueError(f"must be written without brackets: {text.strip('[]')}")
    plain = text.partition("%")[0]  # fe80::1%eth0
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        pass
    else:
        if found.is_multicast or found == _EVERYBODY:
            raise ValueError(f"must be the address of one machine, and {text} is that of many")
        return text
    if _NUMBERS.fullmatch(text):
        raise ValueError(
            "must be four numbers from 0 to 255 without leading zeros, as 203.0.113.10"
        )
    if ":" in text or not _NAME.fullmatch(text):
        raise ValueError("must be a name or an address such as 203.0.113.10 or 2001:db8::10")
    return text


def login_name(text: str) -> str:
    """A user of a host, of its own or of a domain; raises ValueError for what can be none."""
    if not _LOGIN.fullmatch(text):
        raise ValueError(f"must be a login name such as root, not {text!r}")
    return text


def host_name(text: str) -> str:
    """A host's name that is also its address, or an alias of ssh_config(5); raises ValueError."""
    is_odd = text.startswith("-") or any(char in text for char in "*?!\"'`$\\ ")
    if is_odd or not text.isprintable():
        raise ValueError("is neither an address nor a name in ssh's configuration")
    if "@" in text:
        raise ValueError("must be a name or an address alone; the login is another key (ssh_user)")
    is_address = _NUMBERS.fullmatch(text) or ":" in text or "[" in text
    return address(text) if is_address else text


def asked_at(listening: str) -> str:
    """Where, on its own machine, to ask a server that listens on this address."""
    try:
        found = ipaddress.ip_address(listening.partition("%")[0])
    except ValueError:
        return listening
    if not found.is_unspecified:
        return listening
    return "127.0.0.1" if found.version == 4 else "::1"


def in_url(host: str) -> str:
    """The address as a URL takes it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
