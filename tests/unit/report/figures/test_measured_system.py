"""What was measured, in the report: what is recorded is shown, what is unknown is named."""

from __future__ import annotations

from typing import Any

from rocminfra.planning.bench.outcome_records import Provenance
from rocminfra.report.figures.measured_system import items

OLD: dict[str, Any] = {
    "engine": "0.20.1",
    "gpus": ({"name": "AMD Instinct MI300X", "driver": "6.12.12"},),
    "model": "m",
    "kernel": "6.8",
    "machine": "x86_64",
    "cores": 20,
}


def shown(**changes: Any) -> dict[str, str]:
    return {name: value for name, value in items(Provenance(**{**OLD, **changes})) if value}


def test_a_run_of_an_earlier_version_recorded_none_of_it() -> None:
    assert shown() == {}


def test_everything_that_was_recorded() -> None:
    gpu = {
        "name": "AMD Instinct MI300X",
        "firmware": {"mec": "0xac", "sdma": "0x12"},
        "power_cap_w": 750.0,
        "gfx_clock_max_mhz": 2100.0,
        "memory_clock_max_mhz": None,
    }
    found = shown(
        gpus=(gpu, dict(gpu)),
        image="docker.io/vllm/vllm-openai-rocm:v0.20.1",
        image_id="sha256:aaa",
        image_digest="docker.io/vllm/vllm-openai-rocm@sha256:bbb",
        engine_arguments=("m", "--limit-mm-per-prompt={'image': 1}"),
        model_revision="d" * 40,
        model_files={
            "config.json": {"bytes": 1_000, "sha256": "e" * 64},
            "model.safetensors": {"bytes": 2_000_000_000, "sha256": None},
        },
        rocm="7.2.1",
        system="Ubuntu 24.04.3 LTS",
        guidellm={"version": "0.8.1", "patched": True, "why": "adds it"},
        rocminfra={"version": "0.1.0", "commit": None, "settings_sha256": "f" * 64},
        unknown={"rocminfra.commit": "installed", "gpus.memory_clock_max_mhz": "no file"},
    )
    assert found == {
        "Image": "docker.io/vllm/vllm-openai-rocm:v0.20.1",
        "Image digest": "docker.io/vllm/vllm-openai-rocm@sha256:bbb",
        "Engine arguments": """m '--limit-mm-per-prompt={'"'"'image'"'"': 1}'""",
        "Model revision": "d" * 40,
        "Model files": "2, 2.00 GB, SHA-256 of 1 in run.json",
        "Firmware": "mec 0xac sdma 0x12",
        "Power cap": "750 W",
        "GPU clock, highest": "2100 MHz",
        "ROCm on the host": "7.2.1",
        "System": "Ubuntu 24.04.3 LTS",
        "GuideLLM's check": "for the end of a run added to 0.8.1: adds it",
        "rocminfra": "0.1.0",
        "Settings": "SHA-256 ffffffffffff",
        "Unknown": "gpus.memory_clock_max_mhz, rocminfra.commit",
    }


def test_what_is_damaged_shows_what_can_be_shown() -> None:
    found = shown(model_files={"a": 3, "b": {"bytes": "x"}}, guidellm={}, rocminfra={"version": 3})
    assert found["Model files"] == "1, 0.00 GB, SHA-256 of 0 in run.json"
    assert found["rocminfra"] == "3"
