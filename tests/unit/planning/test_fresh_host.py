"""Whether a machine may be worked on: a pure decision about a look."""

from __future__ import annotations

import pytest

from rocminfra.failure import Again, Do, ExitCode, Failure
from rocminfra.planning.fresh_host import AptHolder, Container, Observed, Ready, Wait, judge

HOLDER = AptHolder(812, "/usr/bin/python3 /usr/bin/unattended-upgrade", "/var/lib/dpkg/lock")
QUICK_START = Container("rocm", "rocm/vllm:quick", (), (8000, 8888), False, True)
OURS = Container("vllm-b", "vllm", ("rocminfra.config",), (8001,), False, True)


def decide(**seen: object) -> Ready | Wait | Failure:
    found = Observed(**seen)  # type: ignore[arg-type]
    return judge(found, "root@203.0.113.10", "vllm-a", 8000, "rocminfra.config")


def test_a_settled_machine_is_ready() -> None:
    assert decide() == Ready()
    assert decide(cloud_init="done") == Ready()
    assert decide(cloud_init="disabled") == Ready()


@pytest.mark.parametrize("word", ["running", "not started", "not run", "degraded running"])
def test_cloud_init_is_waited_for(word: str) -> None:
    found = decide(cloud_init=word)
    assert isinstance(found, Wait)
    assert found.reason == f"cloud-init is '{word}'"
    assert found.late.kind is ExitCode.NOT_READY
    assert found.late.next == Do("ssh root@203.0.113.10 cloud-init status --long")


def test_a_machine_that_can_only_be_read_is_refused_at_once() -> None:
    found = decide(read_only=("/etc", "/usr/local"), cloud_init="running")
    assert isinstance(found, Failure)
    assert found.kind is ExitCode.UNFIT
    assert found.what == "/etc, /usr/local on the host can only be read, and a run writes there"
    assert isinstance(found.next, Again)
    assert 'mount -o remount,rw "$(findmnt -no TARGET -T /etc)"' in found.next.first


def test_whoever_holds_apts_lock_is_named() -> None:
    found = decide(apt=(HOLDER,))
    assert isinstance(found, Wait)
    assert "unattended-upgrade (pid 812) holds /var/lib/dpkg/lock" in found.reason


def test_a_quick_start_image_is_refused_by_its_containers_name() -> None:
    found = decide(containers=(QUICK_START,), cloud_init="running")
    assert isinstance(found, Failure)  # at once: waiting changes nothing about it
    assert found.kind is ExitCode.UNFIT
    assert found.what == "container 'rocm' has port 8000, which the engine needs"
    assert found.next == Do("ssh root@203.0.113.10 docker rm --force rocm")


def test_a_container_on_the_hosts_network_that_listens() -> None:
    item = Container("rocm", "rocm/vllm", (), (), True, True)
    assert isinstance(decide(containers=(item,), listening=(22, 8000)), Failure)
    assert isinstance(decide(containers=(item,), listening=(22,)), Ready)


def test_the_engine_itself_is_no_stranger() -> None:
    engine = Container("vllm-a", "vllm", ("rocminfra.config",), (8000,), False, True)
    assert decide(containers=(engine, OURS), listening=(8000,)) == Ready()


def test_without_the_engines_name_any_container_of_ours_is_no_stranger() -> None:
    """A task that runs alone while the engine serves must never say how to remove it."""
    engine = Container("vllm-a", "vllm", ("rocminfra.config",), (8000,), False, True)
    seen = Observed(containers=(engine,), listening=(8000,), reboot=("amdgpu-dkms",))
    assert isinstance(judge(seen, "203.0.113.10", "", 8000, "rocminfra.config"), Ready)
    seen = Observed(containers=(QUICK_START,))
    assert isinstance(judge(seen, "203.0.113.10", "", 8000, "rocminfra.config"), Failure)


def test_another_container_with_the_gpu_is_a_note() -> None:
    item = Container("exporter", "device-metrics-exporter", (), (5000,), False, True)
    found = decide(containers=(item,))
    assert isinstance(found, Ready)
    assert "container 'exporter'" in found.notes[0]


def test_a_reboot_that_changes_the_driver_comes_first() -> None:
    found = decide(reboot=("amdgpu-dkms", "libc6"))
    assert isinstance(found, Failure)
    assert found.kind is ExitCode.UNFIT
    assert found.why == ("packages: amdgpu-dkms",)
    assert found.next == Do("ssh root@203.0.113.10 systemctl reboot; then run this again")


def test_no_reboot_is_asked_of_a_machine_that_serves_or_for_less() -> None:
    engine = Container("vllm-a", "vllm", (), (8000,), False, True)
    assert isinstance(decide(reboot=("linux-base",), containers=(engine,)), Ready)
    found = decide(reboot=("libc6",))
    assert found == Ready(("a reboot is pending for: libc6",))


def test_what_cannot_be_seen_is_said() -> None:
    found = decide(problem="python3: not found", cloud_init="unknown")
    assert isinstance(found, Ready)
    assert "python3: not found" in found.notes[0]
