"""Addresses: what may be one, and where a server that listens there is asked."""

from __future__ import annotations

import re

import pytest

from rocminfra.settings import load_settings
from rocminfra.settings.addresses import address, asked_at, in_url


@pytest.mark.parametrize(
    "text",
    ["203.0.113.10", "::", "::1", "2001:db8::10", "fe80::1%eth0", "localhost", "mi300x-1", "a.b."],
)
def test_an_address_or_a_name(text: str) -> None:
    assert address(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("203.0.113.10:22", "the port 22 is another key"),
        ("[2001:db8::1]:22", "the port 22 is another key"),
        ("[::1]", "without brackets: ::1"),
        ("root@203.0.113.10", "ssh_user"),
        ("ssh://203.0.113.10", "not a URL"),
        ("203.0.113.0/24", "a network"),
        ("203.0.113.010", "without leading zeros"),
        ("10.1", "four numbers"),
        ("3405803786", "four numbers"),
        ("0x7f000001", "four numbers"),
        ("203.0.113.256", "four numbers"),
        ("224.0.0.1", "one machine, and 224.0.0.1 is that of many"),
        ("255.255.255.255", "one machine"),
        ("ff02::1%eth0", "one machine"),
        ("my host", "a name or an address"),
        ("2001:db8::g", "a name or an address"),
        ("-oProxyCommand=x", "a name or an address"),
    ],
)
def test_what_is_neither_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        address(text)


@pytest.mark.parametrize(
    ("listening", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("0:0:0:0:0:0:0:0", "::1"),
        ("::1", "::1"),
        ("10.0.0.5", "10.0.0.5"),
        ("localhost", "localhost"),
    ],
)
def test_a_server_is_asked_where_it_listens(listening: str, asked: str) -> None:
    assert asked_at(listening) == asked
    assert load_settings({"vllm.host": listening}).vllm.asked_at == asked


def test_a_url_has_brackets_around_ipv6() -> None:
    assert (in_url("::1"), in_url("127.0.0.1")) == ("[::1]", "127.0.0.1")
