"""A value means the same in a hosts file, in the environment and after ``--data``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rocminfra.failure import FailedError
from rocminfra.inventory.hosts_file import FILE, hosts_from
from rocminfra.settings import SECTIONS, Settings, SettingsError, load_settings
from rocminfra.settings.environment import environment_settings, variable
from rocminfra.settings.load import load_pyinfra_settings, wanted_of
from rocminfra.settings.located_yaml import parse_yaml, read_value

REFUSED = "refused"
KEYS = [f"{section}.{key}" for section, cls in SECTIONS.items() for key in cls.model_fields]


Load = Callable[[Any], Settings]


def value_of(key: str, data: Any, load: Load = load_settings) -> Any:
    section, leaf = key.split(".")
    return getattr(getattr(load(data), section), leaf)


def in_file(key: str, text: str) -> Any:
    section, leaf = key.split(".")
    try:
        located = parse_yaml(f"hosts:\n  a:\n    {section}:\n      {leaf}: {text}\n", "f", FILE)
        return value_of(key, hosts_from(located, {})[0].data)
    except SettingsError:
        return REFUSED


def in_environment(key: str, text: str) -> Any:
    try:
        return value_of(key, environment_settings({variable(key): text}))
    except SettingsError:
        return REFUSED


def after_data(worker: Any, key: str, text: str) -> Any:
    try:
        return value_of(key, worker("data", [f"{key}={text}"], []))
    except (SettingsError, FailedError):
        return REFUSED


def after_pyinfras_data(worker: Any, key: str, text: str) -> Any:
    """``--data`` of pyinfra's own command, which parses it before we see it."""
    return set_to(key, worker("pyinfras_data", text), load_pyinfra_settings)


def set_to(key: str, value: Any, load: Load = load_settings) -> Any:
    """What the setting of a key is with this value in a host's data."""
    try:
        return value_of(key, {key: value}, load)
    except SettingsError:
        return REFUSED


TYPED: list[tuple[str, str, Any]] = [
    # hosts/y1: a leading zero does not make it octal
    ("vllm.max_num_seqs", "064", 64),
    ("vllm.port", "010000", 10000),
    ("vllm.port", "0o17500", REFUSED),
    ("vllm.port", "0x1F40", REFUSED),
    ("vllm.port", "8_000", 8000),
    ("vllm.port", "+8000", 8000),
    ("vllm.port", "8000.0", REFUSED),
    ("vllm.port", "8e3", REFUSED),
    # sexagesimal
    ("engine.ready_timeout_s", "1:30", REFUSED),
    ("engine.ready_timeout_s", "00:30:00", REFUSED),
    ("cost.usd_per_hour", "1:30.5", REFUSED),
    ("cost.usd_per_hour", "01.99", 1.99),
    ("cost.usd_per_hour", ".99", 0.99),
    ("cost.usd_per_hour", "2", 2.0),
    ("cost.usd_per_hour", "2e0", 2.0),
    ("cost.usd_per_hour", ".inf", REFUSED),
    ("cost.usd_per_hour", "Infinity", REFUSED),
    ("cost.usd_per_hour", "nan", REFUSED),
    # words of YAML 1.1 where a truth value is wanted
    ("rocm.numa_balancing", "yes", True),
    ("rocm.numa_balancing", "Off", False),
    ("rocm.numa_balancing", "TRUE", True),
    ("rocm.numa_balancing", "y", REFUSED),
    ("rocm.numa_balancing", "1", REFUSED),
    # … and what they are, and what other words mean to YAML, where a text is
    ("model.name", "no", "no"),
    ("model.name", "on", "on"),
    ("model.revision", "0123456", "0123456"),
    ("model.revision", "1234567", "1234567"),
    ("model.revision", "12e4567", "12e4567"),
    ("model.revision", "2026-01-31", "2026-01-31"),
    ("model.revision", "null", None),
    ("vllm.shm_size", "16", "16"),
    ("storage.label", "1_0", "1_0"),
    ("vllm.kv_cache_dtype", "no", REFUSED),
    ("vllm.max_pixels", "~", None),
    ("vllm.max_num_seqs", "null", REFUSED),
    ("vllm.max_num_seqs", "", REFUSED),
    # inside of lists and mappings
    ("storage.mount_options", "[nofail, no, 0755]", ["nofail", "no", "0755"]),
    ("engine.environment", "{A: no, B: 010, C: 1:30}", {"A": "no", "B": "010", "C": "1:30"}),
    ("vllm.extra_args", '["--seed", 1e3, "--x", yes]', ["--seed", "1e3", "--x", "yes"]),
    ("rocm.users", "bob", REFUSED),
    ("rocm.users", "[bob", REFUSED),
    # addresses
    ("vllm.host", "::1", "::1"),
    ("vllm.host", "0.0.0.0", "0.0.0.0"),
    ("vllm.host", "10.1", REFUSED),
    ("vllm.host", "203.0.113.010", REFUSED),
    ("vllm.host", "127.0.0.1:8000", REFUSED),
    ("vllm.host", "http://localhost", REFUSED),
]


@pytest.mark.parametrize(("key", "text", "expected"), TYPED)
def test_a_value_means_the_same_in_file_environment_and_data(
    key: str, text: str, expected: Any, worker: Any
) -> None:
    found = [in_file(key, text), in_environment(key, text), after_data(worker, key, text)]
    assert found == [expected] * 3
    assert [type(value) for value in found] == [type(expected)] * 3
    # pyinfra's own command reads numbers before us; what is lost by that is refused, not guessed.
    assert after_pyinfras_data(worker, key, text) in (expected, REFUSED)


_letters = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#"), max_size=12
)
_words = st.sampled_from(
    [
        *("yes", "NO", "on", "off", "true", "False", "null", "~", "", "022", "0022", "1:30"),
        *("0x1f", "0b1", "1_0", "1e3", "1.", ".5", "-0", "007.5", ".inf", "2026-01-31", "<<"),
        *("=", "a b"),
    ]
)


@given(
    st.sampled_from(KEYS),
    _letters | _words | st.from_regex(r"[-+]?[0-9_:.eE]{1,8}", fullmatch=True),
)
@example(key="model.revision", text="~")
@example(key="storage.expected_size_gib", text="!")
@example(key="vllm.max_num_seqs", text="! 5")
@example(key="model.revision", text="&a ! b")
@example(key="huggingface.token_file", text="'")
def test_any_value_is_read_alike_or_refused(worker: Any, key: str, text: str) -> None:
    text = text.strip()
    environment, data = in_environment(key, text), after_data(worker, key, text)
    assert environment == data
    file = in_file(key, text)
    # A file needs quotes around more than a variable does; unquoted it refuses, or means the same.
    assert file in (REFUSED, environment)
    plain = after_pyinfras_data(worker, key, text)
    # What is not a value at all, such as an unclosed quote, pyinfra takes as the text it is; a
    # path in it is made whole. Of JSON's quotes it leaves no trace.
    quoted = text.startswith('"')
    as_it_is = environment == REFUSED and plain == set_to(key, text)
    assert quoted or plain in (environment, REFUSED) or as_it_is


@given(st.sampled_from(KEYS), _letters | _words)
def test_a_text_in_quotes_is_that_text_everywhere(worker: Any, key: str, text: str) -> None:
    quoted = json.dumps(text)
    file, environment = in_file(key, quoted), in_environment(key, quoted)
    assert file == environment == after_data(worker, key, quoted)
    takes = wanted_of(key)
    assert takes is not None
    assert read_value(quoted, takes) == text
