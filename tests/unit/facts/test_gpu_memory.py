"""GPUs from sysfs, and from amd-smi in both generations where sysfs is not enough."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from rocminfra.facts.gpu_memory import Gpu, GpuMemory, GpuReport, Gpus

VRAM = 196_288 << 20
PATH = "/sys/devices/pci0000:00/0000:83:00.0"


def gpu(number: int = 128, **files: str | None) -> dict[str, Any]:
    """A render node as the host program reports it; an MI300X VF unless told otherwise."""
    texts = {
        "vendor": "0x1002",
        "device": "0x74b5",
        "mem_info_vram_total": str(VRAM),
        "current_compute_partition": None,
        "current_memory_partition": None,
        **files,
    }
    read = {name: None if text is None else {"text": text} for name, text in texts.items()}
    return {"node": f"renderD{number}", "path": PATH, "driver": "amdgpu", **read}


def row(total: Any) -> dict[str, Any]:
    return {"gpu": 0, "mem_usage": {"total_vram": total, "used_vram": {"value": 1, "unit": "MB"}}}


def smi(document: Any, rc: int | None = 0) -> dict[str, Any]:
    out = document if isinstance(document, str) else json.dumps(document)
    return {"rc": rc, "out": out, "err": ""}


def report(gpus: list[dict[str, Any]], amd_smi: Any = None) -> GpuReport:
    return Gpus().process([json.dumps({"gpus": gpus, "amd_smi": amd_smi})])


def test_a_gpu_is_what_sysfs_says() -> None:
    (found,) = report([gpu(current_compute_partition="SPX", current_memory_partition="NPS1")]).gpus
    assert found == Gpu(
        node="renderD128",
        path=PATH,
        driver="amdgpu",
        vendor="0x1002",
        device="0x74b5",
        vram_bytes=VRAM,
        compute_partition="SPX",
        memory_partition="NPS1",
    )


def test_what_is_not_there_and_what_cannot_be_read_are_different() -> None:
    unreadable = {"error": "[Errno 5] Input/output error"}
    seen = {**gpu(mem_info_vram_total=None), "current_compute_partition": unreadable}
    (found,) = report([{**seen, "driver": None}], smi([])).gpus
    assert (found.vram_bytes, found.driver) == (None, None)
    assert (found.compute_partition, found.memory_partition) == ("", None)


@pytest.mark.parametrize(
    ("gpus", "memory"),
    [
        ([gpu()], (196_288,)),
        ([gpu(128), gpu(129)], (196_288, 196_288)),
        ([gpu(), gpu(129, mem_info_vram_total=None)], (196_288,)),
    ],
)
def test_memory_from_sysfs(gpus: list[dict[str, Any]], memory: tuple[int, ...]) -> None:
    assert report(gpus).memory_mib == memory


@pytest.mark.parametrize(
    ("document", "memory"),
    [
        ([row({"value": 196_592, "unit": "MB"})], (196_592,)),
        ({"gpu_data": [row({"value": 196_288, "unit": "MB"})] * 2}, (196_288, 196_288)),
        ({"gpu_data": [row("N/A")]}, ()),
        ({"gpu_data": [row({"value": "N/A", "unit": "MB"})]}, ()),
        ({"gpu_data": [{"gpu": 0}]}, ()),
        ([], ()),
        ('"Invalid"', ()),
        ("Invalid platform", ()),
        ("", ()),
    ],
)
def test_memory_from_amd_smi_in_both_generations(document: Any, memory: tuple[int, ...]) -> None:
    # Whatever sysfs says of a GPU that is partitioned: amd-smi was asked because of that.
    two = [gpu(number, current_compute_partition="CPX") for number in (128, 129)]
    assert report(two, smi(document)).memory_mib == memory


def test_without_driver_and_amd_smi_nobody_can_say() -> None:
    assert report([], smi("", rc=None)).memory_mib == ()
    assert GpuMemory.default() == Gpus.default().memory_mib == ()


def test_a_card_that_has_failed_hides_no_other() -> None:
    """Its memory cannot be read, so amd-smi is asked, and hangs, or says N/A of it."""
    dead = {**gpu(129), "mem_info_vram_total": {"error": "[Errno 5] Input/output error"}}
    three = [gpu(128), dead, gpu(130)]
    known = row({"value": 196_288, "unit": "MB"})
    assert report(three, smi("", rc=None)).memory_mib == (196_288,) * 2
    assert report(three, smi([known, row("N/A"), known])).memory_mib == (196_288,) * 2


@pytest.mark.parametrize("output", [["Traceback"], ["{"], ["1"], ["[]"], ["{}"], ["null"], []])
def test_what_is_no_report_says_nothing(output: list[str]) -> None:
    assert GpuMemory().process(output) == ()


def test_memory_is_that_of_the_report_and_takes_no_command_of_its_own() -> None:
    output = ["Welcome", json.dumps({"gpus": [gpu()], "amd_smi": None})]
    assert GpuMemory().process(output) == (196_288,)
    assert GpuMemory().command() == Gpus().command() == Gpus().command()


def test_the_command_reports_this_machine() -> None:
    done = subprocess.run(
        ["sh", "-c", Gpus().command()], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert isinstance(Gpus().process(done.stdout.splitlines()), GpuReport)
    without = subprocess.run(
        ["/bin/sh", "-c", Gpus().command()],
        env={"PATH": "/nowhere"},
        capture_output=True,
        check=True,
    )
    assert Gpus().process(without.stdout.decode().splitlines()) == GpuReport()
