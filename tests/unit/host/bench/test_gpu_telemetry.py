"""The GPUs' figures: the driver's files first, amd-smi only for what they lack, and not often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from running import wait_until_written

from rocminfra.host.bench import amd_smi, driver_files
from rocminfra.host.bench.driver_files import cards, read
from rocminfra.host.bench.gpu_telemetry import GpuReader, gpu_sampler

# An MI300X guest: labelled sensors, no power1_average and no energy counter.
GUEST = {
    "vendor": "0x1002",
    "mem_info_vram_total": str(196_288 << 20),
    "mem_info_vram_used": str(180_584 << 20),
    "gpu_busy_percent": "94",
    "mem_busy_percent": "61",
    "hwmon/hwmon4/power1_label": "PPT",
    "hwmon/hwmon4/power1_input": "612000000",
    "hwmon/hwmon4/temp2_label": "junction",
    "hwmon/hwmon4/temp2_input": "71000",
    "hwmon/hwmon4/temp3_label": "mem",
    "hwmon/hwmon4/temp3_input": "58000",
}
ROW = {
    "gfx_activity_percent": 94.0,
    "umc_activity_percent": 61.0,
    "power_w": 612.0,
    "vram_used_mib": 180_584.0,
    "vram_total_mib": 196_288.0,
    "temperature_hotspot_c": 71.0,
    "temperature_mem_c": 58.0,
}


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def drm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "drm"
    folder.mkdir()
    monkeypatch.setattr(driver_files, "DRM", folder)
    return folder


def card(drm: Path, number: int, files: Mapping[str, str]) -> Path:
    """A render node with these files."""
    device = drm.parent / "pci" / f"0000:{number:02x}"
    for name, text in files.items():
        (device / name).parent.mkdir(parents=True, exist_ok=True)
        (device / name).write_text(f"{text}\n")
    node = drm / f"renderD{128 + number}"
    node.mkdir()
    (node / "device").symlink_to(device)
    return device


def asked(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[float]:
    """amd-smi gives these answers, the last one again and again; a call is noted by its number."""
    calls: list[float] = []

    def gpus() -> list[dict[str, Any]]:
        calls.append(len(calls) + 1)
        answer = answers[min(len(calls), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        found: list[dict[str, Any]] = [dict(row) for row in answer]
        return found

    monkeypatch.setattr(amd_smi, "gpus_of_engine", gpus)
    return calls


def test_a_guests_files_give_every_figure_but_the_energy(drm: Path) -> None:
    card(drm, 0, GUEST)
    (found,) = cards({})
    assert found.number == 0
    assert read(found) == ROW


def test_a_card_of_another_kind_and_hidden_cards_are_left_out(drm: Path) -> None:
    card(drm, 0, {**GUEST, "mem_info_vram_total": str(512 << 20)})
    for number in (1, 2, 3):
        card(drm, number, GUEST)
    assert [one.number for one in cards({})] == [1, 2, 3]
    assert [one.number for one in cards({"HIP_VISIBLE_DEVICES": "2,0"})] == [3, 1]


def test_the_files_of_a_partitioned_card_say_nothing_of_a_partition(drm: Path) -> None:
    card(drm, 0, {**GUEST, "current_compute_partition": "CPX"})
    assert cards({}) == []


def test_an_average_is_preferred_and_files_that_do_not_answer_are_none(drm: Path) -> None:
    device = card(drm, 0, {**GUEST, "hwmon/hwmon4/power1_average": "600000000"})
    (device / "gpu_busy_percent").write_text("\n")
    (device / "mem_busy_percent").unlink()
    (device / "mem_busy_percent").mkdir()
    (found,) = cards({})
    assert read(found)["power_w"] == 600.0
    assert not {"gfx_activity_percent", "umc_activity_percent"} & set(found.files)
    (device / "mem_info_vram_used").unlink()
    assert "vram_used_mib" not in read(found), "a file that goes is no reason to stop"


def taken(reader: GpuReader, is_last: bool = False) -> dict[str, Any]:
    """A sample, which there is."""
    sample = reader.sample(is_last)
    assert sample is not None
    return sample


def test_with_all_files_amd_smi_is_asked_for_energy_alone(
    drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(drm, 0, GUEST)
    calls = asked(monkeypatch, [{"gpu": 0, "power_w": 1.0, "energy_j": 5_000.0}])
    clock = Clock()
    reader = GpuReader({}, clock)
    first = taken(reader)
    assert first == {"gpus": [{"gpu": 0, **ROW, "energy_j": 5_000.0}]}
    for _ in range(29):
        clock.now += 1
        assert taken(reader)["gpus"][0]["energy_j"] is None
    assert len(calls) == 1
    clock.now += 1
    reader.sample()
    assert len(calls) == 2
    reader.sample(is_last=True)
    assert len(calls) == 3, "the counter at the end, so that it spans the point"
    assert reader.sources["power_w"] == "driver"
    assert reader.sources["energy_j"] == "amd-smi"


def test_an_energy_file_makes_amd_smi_needless(drm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(drm, 0, {**GUEST, "hwmon/hwmon4/energy1_input": "7000000"})
    calls = asked(monkeypatch, OSError())
    reader = GpuReader({}, Clock())
    assert taken(reader)["gpus"][0]["energy_j"] == 7.0
    reader.sample(is_last=True)
    assert calls == []


def test_what_the_files_lack_comes_from_amd_smi_every_2_s(
    drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(drm, 0, {key: text for key, text in GUEST.items() if "power1" not in key})
    calls = asked(monkeypatch, [{"gpu": 0, "power_w": 612.0, "gfx_activity_percent": 3.0}])
    clock = Clock()
    reader = GpuReader({}, clock)
    powers = []
    for _ in range(6):
        (gpu,) = taken(reader)["gpus"]
        powers.append(gpu["power_w"])
        assert gpu["gfx_activity_percent"] == 94.0, "the driver's own"
        clock.now += 1
    assert powers == [612.0, None] * 3
    assert len(calls) == 3


def test_an_amd_smi_that_fails_is_left_alone_for_a_minute_and_costs_no_sample(
    drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(drm, 0, GUEST)
    calls = asked(monkeypatch, OSError("wedged"), [{"gpu": 0, "energy_j": 9.0}])
    clock = Clock()
    reader = GpuReader({}, clock)
    first = taken(reader)
    assert first["amd_smi"] == "OSError: wedged"
    assert first["gpus"][0]["power_w"] == 612.0
    clock.now += 59
    assert "amd_smi" in taken(reader, is_last=True)
    assert len(calls) == 1, "the end of a point does not wait for it either"
    clock.now += 1
    assert taken(reader)["gpus"][0]["energy_j"] == 9.0
    assert len(calls) == 2


def test_without_files_the_whole_row_is_amd_smis(
    drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = asked(monkeypatch, [{"gpu": 0, **ROW}, {"gpu": 1, **ROW}])
    clock = Clock()
    reader = GpuReader({}, clock)
    assert [gpu["power_w"] for gpu in taken(reader)["gpus"]] == [612.0, 612.0]
    assert set(reader.sources.values()) == {"amd-smi", None}
    clock.now += 1
    assert reader.sample() is None, "nothing new, no line"
    assert len(calls) == 1


def test_rows_that_are_not_the_same_cards_are_not_mixed(
    drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(drm, 0, GUEST)
    asked(monkeypatch, [{"gpu": 0, "energy_j": 1.0}, {"gpu": 1, "energy_j": 2.0}])
    (gpu,) = taken(GpuReader({}, Clock()))["gpus"]
    assert gpu["energy_j"] is None


def test_where_nobody_says_anything_the_reason_is_in_the_line(
    drm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked(monkeypatch, OSError("no amd-smi on this host"))
    path = tmp_path / "telemetry.jsonl"
    with gpu_sampler(path, period_s=60):
        wait_until_written(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all("no amd-smi on this host" in line["error"] for line in lines)
    assert all({"time", "monotonic"} <= set(line) for line in lines)


def test_a_figure_of_the_driver_that_cannot_be_is_none_with_its_reason(
    drm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(drm, 0, {**GUEST, "gpu_busy_percent": "65535"})
    asked(monkeypatch, OSError())
    sample = taken(GpuReader({}, Clock()))
    assert sample["gpus"][0]["gfx_activity_percent"] is None
    (reason,) = sample["impossible"]
    assert reason.startswith("impossible figure of GPU 0: gfx_activity_percent is 65,535")
