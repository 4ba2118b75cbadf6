"""Only what the lab started is taken for the lab's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocminfra.lab import processes
from rocminfra.lab.paths import LabPaths

PATHS = LabPaths(Path("/var/lib/rocminfra-lab"), Path("/cache"))


@pytest.mark.parametrize(
    ("words", "droplet"),
    [
        (["systemd-nspawn", "--directory=/var/lib/rocminfra-lab/lab-1/root"], "lab-1"),
        (["/usr/bin/slirp4netns", "--ready-fd=3", "/run/netns/rocminfra-lab-demo", "tap0"], "demo"),
        (["vi", "--directory=/var/lib/rocminfra-lab/lab-1/root"], None),
        (["tail", "-f", "/var/lib/rocminfra-lab/lab-1/console.log"], None),
        (["systemd-nspawn", "--directory=/var/lib/machines/other/root"], None),
        (["systemd-nspawn", "--directory=/var/lib/rocminfra-lab/root"], None),
        (["slirp4netns", "/run/netns/podman-1"], None),
        (["sh", "-c", "grep -- --directory=/var/lib/rocminfra-lab/lab-1/root x"], None),
        ([""], None),
    ],
)
def test_processes_are_known_by_program_and_whole_argument(
    tmp_path: Path, words: list[str], droplet: str | None
) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "cmdline").write_bytes("\0".join([*words, ""]).encode())
    (tmp_path / "self").mkdir()
    found = processes.of_droplets(PATHS, proc=tmp_path)
    assert [item.droplet for item in found] == ([] if droplet is None else [droplet])


def test_end_waits_until_the_process_is_gone() -> None:
    process = subprocess.Popen(["sleep", "600"])
    assert processes.end([process.pid]) == ()
    assert not Path(f"/proc/{process.pid}").exists()
    process.wait()


def test_end_of_a_process_that_is_gone_is_no_error() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert processes.end([process.pid]) == ()
