"""Samples of engine and GPU: both generations of amd-smi, and nothing measured is never 0."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from running import wait_until_written

from rocminfra.host.bench import amd_smi, driver_files
from rocminfra.host.bench.amd_smi import gpu_models, gpu_samples
from rocminfra.host.bench.gpu_telemetry import gpu_sampler
from rocminfra.host.bench.telemetry import Sampler, engine_sample, fetch

# Shapes of a real MI300X: ROCm 7.2.1, AMDSMI 26.2.2.
GPU = {
    "gpu": 0,
    "usage": {"gfx_activity": {"value": 94, "unit": "%"}, "mm_activity": "N/A"},
    "power": {"socket_power": {"value": 612, "unit": "W"}, "gfx_voltage": "N/A"},
    "mem_usage": {
        "total_vram": {"value": 196592, "unit": "MB"},
        "used_vram": {"value": "N/A", "unit": "MB"},
    },
    "temperature": {"hotspot": "N/A"},
}


@pytest.mark.parametrize("page", [[GPU], {"gpu_data": [GPU]}])
def test_both_generations_of_amd_smi(page: object) -> None:
    (sample,) = gpu_samples(json.dumps(page))
    assert sample["gpu"] == 0
    assert sample["gfx_activity_percent"] == 94.0
    assert sample["power_w"] == 612.0
    assert sample["vram_total_mib"] == 196592.0


def test_what_is_not_available_is_not_zero() -> None:
    (sample,) = gpu_samples(json.dumps([GPU]))
    assert sample["vram_used_mib"] is None
    assert sample["temperature_hotspot_c"] is None
    assert sample["energy_j"] is None


@pytest.mark.parametrize("page", ["Invalid platform", "{}", '{"gpu_data": 3}', "[1]"])
def test_what_is_no_list_of_gpus_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"list of GPUs|Expecting value"):
        gpu_samples(page)


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where amd-smi will be; sysfs has no GPU."""
    path = tmp_path / "amd-smi"
    monkeypatch.setattr(driver_files, "DRM", tmp_path / "drm")
    monkeypatch.setattr(amd_smi, "AMD_SMI", str(path))
    return path


def says(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    program.chmod(0o755)


def test_gpus_say_what_they_are(smi: Path) -> None:
    one = {"asic": {"market_name": "MI300X simulated ×20"}, "driver": {"version": "N/A"}}
    says(smi, json.dumps({"gpu_data": [one, {"gpu": 1}]}))
    assert gpu_models() == [
        {"name": "MI300X simulated ×20", "driver": None},
        {"name": None, "driver": None},
    ]


def test_where_nobody_can_say_there_are_no_gpus(smi: Path) -> None:
    says(smi, "Invalid platform")
    assert gpu_models() == []
    smi.write_text("#!/bin/sh\nexit 3\n")
    assert gpu_models() == []


def test_series_are_summed_over_their_labels() -> None:
    page = (
        "# HELP vllm:num_requests_running Number of requests.\n"
        'vllm:num_requests_running{engine="0",model_name="a} b"} 3.0\n'
        'vllm:num_requests_running{engine="1",model_name="a} b"} 4.0\n'
        'vllm:request_success_total{finished_reason="stop"} 1e+01\n'
        'vllm:request_success_total{finished_reason="length"} 5.0 1700000000\n'
        "vllm:kv_cache_usage_perc 0.948\n"
        'vllm:kv_cache_usage_perc_old{engine="0"} 9\n'
        "vllm:num_preemptions_total{} not-a-number\n"
    )
    assert engine_sample(page) == {"running": 7.0, "requests": 15.0, "kv_cache_usage": 0.948}


def test_a_sampler_goes_on_after_a_sample_that_failed(tmp_path: Path) -> None:
    answers = iter([OSError("refused"), {"engine": {"running": 1.0}}])
    seen = []

    def sample() -> dict[str, object]:
        answer = next(answers, None)
        seen.append(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer or {}

    path = tmp_path / "metrics.jsonl"
    with Sampler(path, sample, period_s=0.001):
        while len(seen) < 3:
            time.sleep(0.001)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["error"] == "OSError: refused"
    assert lines[1]["engine"] == {"running": 1.0}
    assert all("time" in line for line in lines)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nvllm:", b"garbage\r\n\r\n", b""]
)
def test_an_answer_that_is_cut_off_is_no_page(answer: bytes) -> None:
    """The engine was killed while it answered: an error of this sample, not of its thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ConnectionError):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/metrics")
        thread.join()


def test_a_share_of_several_engines_is_the_fullest_ones() -> None:
    page = "".join(
        f'vllm:kv_cache_usage_perc{{engine="{engine}"}} {share}\n'
        f'vllm:num_requests_waiting{{engine="{engine}"}} 2\n'
        for engine, share in enumerate((0.5, 1.0, 0.25))
    )
    assert engine_sample(page) == {"kv_cache_usage": 1.0, "waiting": 6.0}


def test_samples_hold_nothing_that_json_has_not(smi: Path, tmp_path: Path) -> None:
    usage = {"gfx_activity": {"value": 65535, "unit": "%"}}
    power = {"socket_power": {"value": float("nan"), "unit": "W"}}
    says(smi, json.dumps([{**GPU, "usage": usage, "power": power}]))
    path = tmp_path / "telemetry.jsonl"
    with gpu_sampler(path, period_s=60):
        wait_until_written(path)
    line = path.read_text().splitlines()[0]
    sample = json.loads(line, parse_constant=pytest.fail)
    assert sample["gpus"][0]["gfx_activity_percent"] is None
    assert sample["gpus"][0]["vram_total_mib"] == 196592.0
    assert [reason.partition(" is ")[0] for reason in sample["impossible"]] == [
        "impossible figure of GPU 0: gfx_activity_percent",
        "impossible figure of GPU 0: power_w",
    ]


def test_only_the_engines_gpus_are_sampled(
    smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    integrated = {"gpu": 1, "mem_usage": {"total_vram": {"value": 512, "unit": "MB"}}}
    rows = [GPU, integrated, {**GPU, "gpu": 2}]
    environment = tmp_path / "vllm.env"
    monkeypatch.setattr(amd_smi, "ENGINE_ENVIRONMENT", environment)
    assert sampled(smi, tmp_path / "all.jsonl", rows) == [0, 2]
    environment.write_text("HIP_VISIBLE_DEVICES=1\n")
    assert sampled(smi, tmp_path / "one.jsonl", rows) == [2]


def test_only_the_engines_gpus_say_what_they_are(smi: Path) -> None:
    def card(name: str, mib: int) -> dict[str, object]:
        size = {"size": {"value": mib, "unit": "MB"}}
        return {"asic": {"market_name": name}, "driver": {"version": "6"}, "vram": size}

    says(smi, json.dumps([card("AMD Radeon Graphics", 512), card("MI300X", 196_288)]))
    assert gpu_models() == [{"name": "MI300X", "driver": "6"}]


def sampled(program: Path, path: Path, rows: list[dict[str, object]]) -> list[int]:
    """Numbers of the GPUs in one sample."""
    says(program, json.dumps(rows))
    with gpu_sampler(path, period_s=60):
        wait_until_written(path)
    return [gpu["gpu"] for gpu in json.loads(path.read_text().splitlines()[0])["gpus"]]
