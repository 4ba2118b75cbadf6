"""Pages of the engine's /metrics in every spelling that Prometheus's text format allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.host.bench.telemetry import engine_reasons, engine_sample
from rocminfra.planning.bench.exposition import labels, samples
from rocminfra.planning.bench.validity import configuration

DONE = "vllm:request_success_total"


@pytest.mark.parametrize(
    "line",
    [
        f"{DONE} 5",
        f"{DONE} 5 1700000000000",
        f"{DONE}\t5\r",
        f"  {DONE}  5.0",
        f'{DONE}{{engine="0"}} 5',
        f'{DONE} {{engine="0"}} 5',
        f'{DONE}{{engine="0"}}5',
        f'{DONE}{{model_name="a}} 7 {{",engine="0"}} 5',
        f'{DONE}{{model_name="say \\"}} 7\\""}} 5',
        f'{DONE}{{engine="0"}} 5 # {{trace_id="x"}} 1.0 1600',
        f'{DONE} 5 # {{trace_id="x"}} 1.0 1600',
        f"{DONE} 5\u2028{DONE} 9",
    ],
)
def test_a_value_ends_where_it_ends(line: str) -> None:
    assert engine_sample(line + "\n") == {"requests": 5.0}
    assert engine_reasons(line + "\n") == []


@pytest.mark.parametrize(
    ("page", "named"),
    [
        (f"{DONE} abc", f'{DONE} is "abc", which is not a number'),
        (f"{DONE} 0x10", f'{DONE} is "0x10", which is not a number'),
        (f"{DONE} 1e30", f"{DONE} is 1e+30, above 1e+15"),
        ("vllm:num_requests_running 2.5", "running is 2.5, and half of something is not counted"),
        (f'{DONE}{{engine="0"}} 5\n{DONE}{{engine="0"}} 5', f"{DONE} is there twice"),
    ],
)
def test_what_cannot_be_is_said_and_not_summed(page: str, named: str) -> None:
    (reason,) = engine_reasons(page)
    assert named in reason
    assert engine_sample(page) == {}


def test_several_engines_and_models_are_not_the_same_series() -> None:
    page = "".join(
        f'{DONE}{{engine="{engine}",model_name="{model}"}} 2\n' for engine in "01" for model in "ab"
    )
    assert engine_sample(page) == {"requests": 8.0}
    assert engine_reasons(page) == []


def test_an_older_name_of_a_series_counts() -> None:
    assert engine_sample("vllm:gpu_cache_usage_perc 0.5\n") == {"kv_cache_usage": 0.5}


def test_a_configuration_ends_with_its_braces() -> None:
    page = 'vllm:cache_config_info{block_size="16",engine="0"} 1.0 # {block_size="9"} 1.0\n'
    assert configuration(page) == {"block_size": "16"}


@given(st.text())
def test_any_text_is_a_page(page: str) -> None:
    for name, written, value in samples(page):
        assert name
        assert value
        labels(written)
    engine_sample(page)
