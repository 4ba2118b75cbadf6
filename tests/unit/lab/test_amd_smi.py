"""The stand-in for amd-smi: what our own parsers make of it, in both generations."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.bench.amd_smi import gpu_samples
from rocminfra.host.installed import preflight
from rocminfra.lab.guest import amd_smi


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    config = tmp_path / "gpu.json"
    config.write_text(json.dumps({"rocm": 7, "time_scale": 20.0, "vram_mib": 196288}))
    monkeypatch.setattr(amd_smi, "CONFIG", str(config))
    monkeypatch.setattr(amd_smi, "COUNTER", str(tmp_path / "energy.json"))
    monkeypatch.setattr(amd_smi, "listening", lambda _port: False)
    monkeypatch.delenv("AMD_SMI_ROCM", raising=False)

    def call(*arguments: str) -> str:
        assert amd_smi.main(list(arguments)) == 0
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("generation", ["6", "7"])
def test_both_generations_are_read_by_preflight_and_telemetry(
    run: Any, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    monkeypatch.setenv("AMD_SMI_ROCM", generation)
    text = run("metric", "--mem-usage", "--json")
    assert isinstance(json.loads(text), list if generation == "6" else dict)
    percent = preflight.vram_percent(json.loads(text))
    assert percent is not None
    assert percent < 1
    assert gpu_samples(text)[0]["gpu"] == 0


def test_the_engine_fills_the_memory(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amd_smi, "listening", lambda port: port == 8000)
    percent = preflight.vram_percent(json.loads(run("metric", "--json")))
    assert percent == pytest.approx(92, abs=0.1)
    processes = json.loads(run("process", "--json"))
    assert isinstance(processes, list)
    info = processes[0]["process_list"][0]["process_info"]
    assert info["memory_usage"]["vram_mem"]["value"] > 180 * 10**9


def test_an_idle_gpu_has_no_process(run: Any) -> None:
    processes = json.loads(run("process", "--json"))
    assert processes[0]["process_list"][0]["process_info"] == "No running processes detected"


def test_nobody_can_take_it_for_a_real_gpu(run: Any) -> None:
    asic = json.loads(run("static", "--json"))["gpu_data"][0]["asic"]
    assert asic["market_name"] == "MI300X simulated ×20"
    assert "sim" in json.loads(run("version", "--json"))[0]["version"]


def test_bandwidth_scales_with_time(run: Any) -> None:
    vram = json.loads(run("static", "--json"))["gpu_data"][0]["vram"]
    assert vram["max_bandwidth"]["value"] == 20 * 5300
    assert vram["size"] == {"value": 196288, "unit": "MB"}


def test_csv_has_a_row_for_each_gpu(run: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(run("metric", "--csv"))))
    assert rows[0]["total_vram"] == "196288"
    assert rows[0]["mm_activity"] == "N/A"


def test_the_energy_counter_only_rises(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def energy() -> float:
        row = json.loads(run("metric", "--energy", "--json"))["gpu_data"][0]
        return float(row["energy"]["total_energy_consumption"]["value"])

    readings = []
    for busy in (False, True, False, True):
        monkeypatch.setattr(amd_smi, "listening", lambda _port, busy=busy: busy)
        readings.append(energy())
    assert readings == sorted(readings)


def test_an_unknown_command_fails(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert amd_smi.main(["frobnicate", "--json"]) == 2
    assert "frobnicate" in capsys.readouterr().err


def test_a_listening_port_is_seen() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert amd_smi.listening(port)
    assert not amd_smi.listening(port)
