"""What the host program sees in sysfs, and when it asks amd-smi as well."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts.gpu_memory import Gpus
from rocminfra.host.sent import gpu_probe

MI300X_VF = {"mem_info_vram_total": str(196_288 << 20)}
OF_A_PARTITION: dict[str, str] = {}
IN_PARTITIONS = {**MI300X_VF, "current_compute_partition": "CPX"}
NOT_IN_PARTITIONS = {**MI300X_VF, "current_compute_partition": "SPX"}
SILENT = {"mem_info_vram_total": ""}
EMPTY = {"mem_info_vram_total": "0"}
ROW = {"gpu": 0, "mem_usage": {"total_vram": {"value": 7, "unit": "MB"}}}

Look = Callable[[list[dict[str, str]]], dict[str, Any]]


@pytest.fixture
def look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Look:
    """The report of a host with these render nodes, whose amd-smi says 7 MiB."""
    write_smi(tmp_path, f"echo '{json.dumps([ROW])}'")
    monkeypatch.setattr(gpu_probe, "AMD_SMI", str(tmp_path / "amd-smi"))
    monkeypatch.setattr(gpu_probe, "DRM", str(tmp_path / "drm"))

    def made(gpus: list[dict[str, str]]) -> dict[str, Any]:
        for number, files in enumerate(gpus, 128):
            device = tmp_path / f"pci/0000:{number:02x}:00.0"
            device.mkdir(parents=True)
            for name, text in files.items():
                (device / name).write_text(f"{text}\n" if text else "")
            node = tmp_path / f"drm/renderD{number}"
            node.mkdir(parents=True)
            (node / "device").symlink_to(device)
        assert gpu_probe.main() == 0
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    return made


def write_smi(folder: Path, script: str) -> None:
    smi = folder / "amd-smi"
    smi.write_text(f"#!/bin/sh\n{script}\n")
    smi.chmod(0o755)


def memory(report: dict[str, Any]) -> tuple[int, ...]:
    return Gpus().process([json.dumps(report)]).memory_mib


@pytest.mark.parametrize(
    ("gpus", "mib"),
    [
        ([MI300X_VF], (196_288,)),
        ([MI300X_VF, MI300X_VF], (196_288, 196_288)),
        ([MI300X_VF, OF_A_PARTITION, OF_A_PARTITION], (196_288,)),
        ([NOT_IN_PARTITIONS], (196_288,)),
        # amd-smi is asked where the driver does not say.
        ([], (7,)),
        ([OF_A_PARTITION], (7,)),
        ([IN_PARTITIONS], (7,)),
        ([MI300X_VF, IN_PARTITIONS], (7,)),
        ([SILENT], (7,)),
        ([EMPTY], (7,)),
        ([EMPTY, MI300X_VF], (7,)),
        ([MI300X_VF, SILENT], (7,)),
        ([{"mem_info_vram_total": "-1"}], (7,)),
        ([{**MI300X_VF, "current_compute_partition": ""}], (7,)),
    ],
)
def test_amd_smi_is_asked_only_where_sysfs_is_not_enough(
    look: Look, gpus: list[dict[str, str]], mib: tuple[int, ...]
) -> None:
    report = look(gpus)
    assert (report["amd_smi"] is None) == (mib != (7,))
    assert memory(report) == mib


def test_every_gpu_is_reported_with_all_that_sysfs_says(look: Look, tmp_path: Path) -> None:
    ids = {"vendor": "0x1002", "device": "0x74a1", "current_memory_partition": "NPS4"}
    drivers = tmp_path / "drivers/amdgpu"
    drivers.mkdir(parents=True)
    (tmp_path / "drm").mkdir()
    (tmp_path / "drm/card0").mkdir()  # no render node
    look([{**IN_PARTITIONS, **ids}, OF_A_PARTITION])
    (tmp_path / "pci/0000:80:00.0/driver").symlink_to(drivers)
    first, second = gpu_probe.observe()["gpus"]
    assert first == {
        "node": "renderD128",
        "path": str((tmp_path / "pci/0000:80:00.0").resolve()),
        "driver": "amdgpu",
        "vendor": {"text": "0x1002"},
        "device": {"text": "0x74a1"},
        "mem_info_vram_total": {"text": str(196_288 << 20)},
        "current_compute_partition": {"text": "CPX"},
        "current_memory_partition": {"text": "NPS4"},
    }
    nothing = dict.fromkeys(("driver", *gpu_probe.FILES))
    place = str((tmp_path / "pci/0000:81:00.0").resolve())
    assert second == {"node": "renderD129", "path": place, **nothing}


def test_a_file_that_cannot_be_read_is_said_and_amd_smi_is_asked(
    look: Look, tmp_path: Path
) -> None:
    look([MI300X_VF])
    total = tmp_path / "pci/0000:80:00.0/mem_info_vram_total"
    total.unlink()
    total.symlink_to("/proc/self/mem")  # opens, and cannot be read, not even by root
    report = gpu_probe.observe()
    assert "Input/output error" in report["gpus"][0]["mem_info_vram_total"]["error"]
    assert memory(report) == (7,)


@pytest.mark.parametrize(
    ("script", "run"),
    [
        ("echo out; echo ' why ' >&2; exit 3", {"rc": 3, "out": "out\n", "err": "why"}),
        (r"printf '\377'", {"rc": 0, "out": "\ufffd", "err": ""}),
        ("kill -9 $$", {"rc": -9, "out": "", "err": ""}),
    ],
)
def test_amd_smis_run_is_told_as_it_was(
    look: Look, tmp_path: Path, script: str, run: dict[str, Any]
) -> None:
    write_smi(tmp_path, script)
    report = look([])
    assert report["amd_smi"] == run
    assert memory(report) == ()


def test_an_amd_smi_that_hangs_is_given_up_and_ended(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_smi(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 60")
    monkeypatch.setattr(gpu_probe, "AMD_SMI_DEADLINE_S", 0.5)
    started = time.monotonic()
    report = look([])
    assert time.monotonic() - started < 30
    assert report["amd_smi"] == {"rc": None, "out": "", "err": "no answer within 0.5 s"}
    pid = int((tmp_path / "pid").read_text())
    assert os.waitid(os.P_PID, pid, os.WEXITED) is not None


def test_amd_smi_is_looked_for_on_the_path_and_may_be_missing(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_probe, "AMD_SMI", "/nowhere/amd-smi")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert memory(look([])) == (7,)
    (tmp_path / "amd-smi").unlink()
    report = look([])
    assert report["amd_smi"]["rc"] is None
    assert "amd-smi" in report["amd_smi"]["err"]
