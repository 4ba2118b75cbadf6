"""Every form in which amd-smi's releases print their JSON."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.gpus.amd_smi_output import MIB, PERCENT, WATTS, figure, read

ROWS = [{"gpu": 0, "power": {"socket_power": {"value": 135, "unit": "W"}}}, {"gpu": 1}]
TEXT = json.dumps(ROWS, indent=4)
WRAPPED = json.dumps({"gpu_data": ROWS}, indent=4)
GROUPS = "WARNING: User is missing the following required groups: render, video. Please add user"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        WRAPPED,
        f"{GROUPS}\n{TEXT}",
        f"[WARN] ras block is not enabled\n{{not json\n{WRAPPED}\n",
        f"{TEXT}\n{TEXT}",
        f"{WRAPPED}\n{GROUPS}",
        f"\r\n  {TEXT}\r\n",
        f"'CTRL' + 'C' to stop watching output:\n{TEXT}",
    ],
)
def test_the_rows_are_found_whatever_surrounds_them(text: str) -> None:
    assert read(text) == ROWS


@pytest.mark.parametrize(
    "text",
    ["", "Invalid platform", "{}", "null", '{"gpu_data": null}', "[[1]]", "[1]", "[" * 100_000],
)
def test_what_is_no_list_of_gpus_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="amd-smi printed no list of GPUs"):
        read(text)


@pytest.mark.parametrize(
    ("leaf", "mib"),
    [
        ({"value": 196_592, "unit": "MB"}, 196_592),
        ({"value": 192, "unit": "GB"}, 196_608),
        ({"value": 201_310_208, "unit": "KB"}, 196_592),
        ({"value": 206_141_652_992, "unit": "B"}, 196_592),
        ({"value": "196592", "unit": "MB"}, 196_592),
        (196_592, 196_592),
        ("196592", 196_592),
        ("196592 MB", 196_592),
        ("192GB", 196_608),
        ({"value": 192, "unit": "furlongs"}, None),
        ({"value": "N/A", "unit": "MB"}, None),
        ("N/A", None),
        ("nan", None),
        (True, None),
        ([196_592], None),
        ({}, None),
        (None, None),
        (10**400, None),
    ],
)
def test_a_figure_has_its_unit(leaf: Any, mib: float | None) -> None:
    assert figure({"mem_usage": {"total_vram": leaf}}, ("mem_usage", "total_vram"), MIB) == mib


def test_a_section_may_be_missing_or_a_text() -> None:
    for row in ({}, {"power": "N/A"}, {"power": None}, {"power": []}, {"power": {}}):
        assert figure(row, ("power", "socket_power"), WATTS) is None
    assert figure({"usage": {"gfx_activity": "97 %"}}, ("usage", "gfx_activity"), PERCENT) == 97
    milli = {"power": {"socket_power": {"value": 135_000, "unit": "mW"}}}
    assert figure(milli, ("power", "socket_power"), WATTS) == 135
    # Whether it can be is the gate's to say.
    odd = {"power": {"socket_power": {"value": math.inf, "unit": "W"}}}
    assert figure(odd, ("power", "socket_power"), WATTS) in (None, math.inf)


@given(st.text(alphabet='[]{}":,0 gpuN/A\n') | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        for row in read(text):
            figure(row, ("mem_usage", "total_vram"), MIB)
