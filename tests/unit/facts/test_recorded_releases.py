"""What the tools of three releases print, read: the same host is the same to us on each.

Recorded on practice droplets by ``tests/recorded/record_release.py``.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts.docker import Container, Image
from rocminfra.facts.gpu_nodes import group_ids
from rocminfra.facts.scratch_mount import ScratchMount
from rocminfra.facts.systemd_unit import Unit
from rocminfra.planning.disk.decide import Decision, Format, Keep, Refuse, decide
from rocminfra.planning.disk.observation import PROBES, Desired, Device, Finding
from rocminfra.planning.releases import untried

FOLDER = Path(__file__).parents[2] / "recorded/releases"
RELEASES = ("bullseye", "bookworm", "trixie")
IMAGE = "vllm/vllm-openai-rocm:v0.20.1"
ENGINE = "vllm-qwen2-vl-72b"
SIZE = 5120 * 1024**3


class Recorded:
    """The answers of one release."""

    def __init__(self, codename: str) -> None:
        self.codename = codename
        self.answers = json.loads((FOLDER / f"{codename}.json").read_text(encoding="utf-8"))

    def read(self, state: str, name: str, **arguments: Any) -> Any:
        """What our fact makes of what was printed in a state."""
        (output,) = (
            answer["output"]
            for answer in self.answers
            if (answer["state"], answer["fact"]) == (state, name)
            and arguments.items() <= answer["arguments"].items()
        )
        module, _, kind = name.partition(".")
        fact = getattr(importlib.import_module(f"rocminfra.facts.{module}"), kind)()
        # pyinfra asks process() only when something was printed.
        return fact.process(output) if output else fact.default()

    def decide(self, state: str) -> Decision:
        """The decision about the scratch disk in a state."""
        observed = self.read(state, "disks.Disks")
        assert observed.problems == ()
        return decide(observed, Desired("droplet"))


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Recorded:
    return Recorded(request.param)


def _findings(device: Device) -> list[tuple[str, Finding]]:
    return [(look.probe, look.finding) for look in device.looks]


def test_every_recording_is_read_here() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(RELEASES)


def test_recordings_name_nothing_of_the_machine_that_made_them(release: Recorded) -> None:
    text = (FOLDER / f"{release.codename}.json").read_text(encoding="utf-8")
    for word in (
        "/root/.cache",
        str(Path(__file__).parents[3]),
        "/var/lib/rocminfra-lab",
        "record-",
    ):
        assert word not in text


def test_its_name_is_one_of_those_tried(release: Recorded) -> None:
    found = release.read("fresh", "release.HostRelease")
    assert (found.id, release.codename in found.name) == ("debian", True)
    assert untried(found) is None


@pytest.mark.parametrize(
    ("codename", "python"), [("bullseye", (3, 9)), ("bookworm", (3, 11)), ("trixie", (3, 13))]
)
def test_its_python(codename: str, python: tuple[int, int]) -> None:
    assert Recorded(codename).read("fresh", "release.PythonVersion") == python


def test_a_blank_disk_is_blank_to_every_probe(release: Recorded) -> None:
    decision = release.decide("fresh")
    assert isinstance(decision, Format)
    assert decision.device.path == "/dev/vdc"
    assert decision.device.size == SIZE
    looks = {look.probe: look.finding for look in decision.device.looks}
    assert set(looks) >= set(PROBES)
    assert set(looks.values()) == {Finding.BLANK}


@pytest.mark.parametrize(
    ("state", "evidence"),
    [
        ("somebody's XFS", ("blkid: xfs, label 'theirs', UUID", "wipefs: xfs, label 'theirs'")),
        ("swap", ("blkid: swap, UUID", "wipefs: swap, UUID")),
        ("a partition with a file system", ("blkid: xfs, label 'inner'", "wipefs: xfs")),
    ],
)
def test_a_disk_with_anything_on_it_is_refused(
    release: Recorded, state: str, evidence: tuple[str, ...]
) -> None:
    decision = release.decide(state)
    assert isinstance(decision, Refuse)
    said = "\n".join(decision.failure.why)
    for words in evidence:
        assert words in said
    assert "unknown" not in said, "a tool's answer was not understood"


@pytest.mark.parametrize(
    ("codename", "blkid"),
    [
        ("bullseye", "blkid: more than one signature (ambivalent)"),
        ("bookworm", "blkid: more than one signature (ambivalent)"),
        # As if there were nothing: why no tool's word counts alone.
        ("trixie", None),
    ],
)
def test_two_signatures_are_never_blank_whatever_blkid_says(
    codename: str, blkid: str | None
) -> None:
    decision = Recorded(codename).decide("two signatures")
    assert isinstance(decision, Refuse)
    assert tuple(s.kind for s in decision.device.signatures) == ("swap", "xfs")
    assert [line for line in decision.failure.why if line.startswith("blkid")] == (
        [blkid] if blkid else []
    )
    assert any(
        line.startswith("wipefs: swap; xfs, label 'theirs'") for line in decision.failure.why
    )


def test_a_blank_partition_is_told_from_its_disk(release: Recorded) -> None:
    observed = release.read("a partition", "disks.Disks")
    looks = {device.path: dict(_findings(device)) for device in observed.devices}
    assert looks["/dev/vdc1"]["blkid"] is looks["/dev/vdc1"]["wipefs"] is Finding.BLANK
    assert looks["/dev/vdc"]["blkid"] is looks["/dev/vdc"]["wipefs"] is Finding.DATA
    assert looks["/dev/vdc"]["partitions"] is Finding.DATA
    (part,) = (device for device in observed.devices if device.path == "/dev/vdc1")
    assert part.size == 1024**3
    assert part.part_uuid is not None
    decision = release.decide("a partition")
    assert isinstance(decision, Format)
    assert decision.device.path == "/dev/vdc1"


def test_a_deployed_disk_is_kept(release: Recorded) -> None:
    assert isinstance(release.decide("deployed"), Keep)
    assert release.read("fresh", "scratch_mount.ScratchMountStatus") is None
    mount = release.read("deployed", "scratch_mount.ScratchMountStatus")
    assert isinstance(mount, ScratchMount)
    assert (mount.device, mount.filesystem) == ("/dev/vdc", "xfs")
    assert "noatime" in mount.options
    assert mount.size_bytes > 0.99 * SIZE
    assert mount.used_bytes + mount.available_bytes <= mount.size_bytes
    assert mount.uuid is not None
    assert len(mount.uuid) == 36


def test_units(release: Recorded) -> None:
    for name in ("docker.service", "vllm.service"):
        unit = release.read("deployed", "systemd_unit.SystemdUnit", unit=name)
        assert isinstance(unit, Unit)
        assert (unit.load_state, unit.active_state) == ("loaded", "active")
        assert unit.enabled
        assert not unit.needs_reload
        assert len(unit.invocation_id) == 32
    nobody = release.read("deployed", "systemd_unit.SystemdUnit", unit="nobody.service")
    assert (nobody.load_state, nobody.active_state, nobody.enabled) == (
        *("not-found", "inactive"),
        False,
    )
    assert release.read("fresh", "systemd_unit.SystemdUnit").load_state == "not-found"
    stopped = release.read("the engine stopped", "systemd_unit.SystemdUnit")
    assert (stopped.active_state, stopped.enabled) == ("inactive", True)


def test_docker_answers_of_the_deployed_host(release: Recorded) -> None:
    state = "deployed"
    assert release.read(state, "docker.DockerRoot") == "/mnt/models/docker"
    image = release.read(state, "docker.DockerImage", reference=IMAGE)
    assert isinstance(image, Image)
    assert image.pinned == image.id, "it came from an archive"
    assert image.id.startswith("sha256:")
    assert release.read(state, "docker.DockerImage", reference="nobody/nothing:1") is None
    container = release.read(state, "docker.DockerContainer", container=ENGINE)
    assert isinstance(container, Container)
    assert container.running
    assert container.image_id == image.id
    assert container.label("rocminfra.config") is not None
    assert release.read(state, "docker.DockerContainer", container="nobody") is None


def test_a_host_without_docker_has_none(release: Recorded) -> None:
    assert release.read("fresh", "docker.DockerInstalled") is None
    assert release.read("fresh", "docker.DockerRoot") is None
    assert release.read("fresh", "docker.DockerImage") is None
    assert release.read("deployed", "docker.DockerInstalled") == "/usr/bin/docker"
    contents = release.read("deployed", "docker.DockerContents")
    assert [line.split()[:2] for line in contents] == [["container", ENGINE]]
    assert release.read("the engine stopped", "docker.DockerContainer") is None


def test_packages_and_programs(release: Recorded) -> None:
    assert release.read("fresh", "packages.InstalledPackages") == {"python3-venv"}
    split = {"docker-cli"} if release.codename == "trixie" else set()
    assert release.read("deployed", "packages.InstalledPackages") == {"docker.io"} | split
    assert release.read("fresh", "programs.HostPrograms") == {
        *("mkfs.xfs", "sysctl", "python3 -m venv", "python3 -m ensurepip"),
    }
    assert release.read("deployed", "programs.HostPrograms") == {"docker", "dockerd"}


def test_users_nodes_and_the_environment_of_services(release: Recorded) -> None:
    users = release.read("fresh", "system.UserGroups")
    assert set(users) == {"ops"}
    assert "ops" in users["ops"]
    nodes = release.read("fresh", "gpu_nodes.GpuNodes")
    assert group_ids(nodes) == (44, 992)
    environment = release.read("deployed", "system.ManagerEnvironment")
    assert environment["HF_HOME"] == "/mnt/models/huggingface"
