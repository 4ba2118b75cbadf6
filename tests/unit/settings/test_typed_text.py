"""Values as somebody types them: the key says what is meant."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.settings import SettingsError, load_settings
from rocminfra.settings.environment import environment_settings, variable
from rocminfra.settings.load import wanted_of
from rocminfra.settings.located_yaml import read_value
from rocminfra.settings.typed_text import read_typed, read_untyped

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


@given(st.integers(min_value=-(10**30), max_value=10**30) | st.floats(allow_nan=False))
def test_a_number_that_yaml_or_json_writes_is_that_number(value: float) -> None:
    wanted = wanted_of("cost.usd_per_hour")
    for text in (json.dumps(value), yaml.safe_dump(value).split("\n", 1)[0]):
        if "inf" not in text.lower():
            assert read_typed(text, wanted) == value


@given(_letters | _words)
def test_without_a_schema_a_value_is_yamls_except_for_other_bases(text: str) -> None:
    text = text.strip()
    try:
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return
    found = read_untyped(text)
    assert found in (text, expected) or str(found).lstrip("0") == text.lstrip("+0_")


@pytest.mark.parametrize(
    ("key", "text", "quoted"),
    [
        ("vllm.port", "0x1F40", '"0x1F40"'),
        ("engine.ready_timeout_s", "1:30", '"1:30"'),
        ("vllm.kv_cache_dtype", "08", "'auto', 'fp8'"),
        ("vllm.max_num_seqs", "on", '"on"'),
        ("rocm.numa_balancing", "001", '"001"'),
    ],
)
def test_a_refusal_quotes_what_was_typed(key: str, text: str, quoted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environment_settings({variable(key): text}))
    assert quoted in str(caught.value)


def test_a_tag_is_no_way_around_the_reader() -> None:
    with pytest.raises(ValueError, match="tags"):
        read_value('[!!int "022"]', wanted_of("vllm.extra_args"))
