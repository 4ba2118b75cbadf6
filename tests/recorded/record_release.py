"""Record what the tools of a release print, for the tests of the parsers.

    python tests/recorded/record_release.py bullseye bookworm trixie

Makes a practice droplet of each release, runs the commands of our facts on it in the states below,
and writes what they printed into ``tests/recorded/releases/CODENAME.json``. Needs root, as every
practice droplet does. What the parsers should make of it is in
``tests/unit/facts/test_recorded_releases.py``.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from rocminfra.lab import droplets, keys, machine
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.droplets import Wanted
from rocminfra.lab.paths import default_paths

HERE = Path(__file__).parent / "releases"
ROOT = Path(__file__).parents[2]
PATHS = default_paths()
IMAGE = "vllm/vllm-openai-rocm:v0.20.1"
ENGINE = "vllm-qwen2-vl-72b"
DISKS = ("disks.Disks", {"device": "auto", "mount_point": "/mnt/models"})
MOUNT = ("scratch_mount.ScratchMountStatus", {"mount_point": "/mnt/models"})
CLEAR = "wipefs -qaf /dev/vdc; /usr/local/lib/rocminfra-lab/devices.sh refresh; "
REFRESH = "; /usr/local/lib/rocminfra-lab/devices.sh refresh"
# A header of swap in the middle of an XFS, which libblkid calls ambivalent: version 1, one page.
SWAP_INSIDE = (
    "python3 -c \"import struct; f = open('/dev/vdc', 'r+b'); f.seek(1024); "
    "f.write(struct.pack('<II', 1, 100)); f.seek(4086); f.write(b'SWAPSPACE2')\""
)

# State, what brings it about, and the facts that are asked in it.
BEFORE: tuple[tuple[str, str, tuple[tuple[str, dict[str, Any]], ...]], ...] = (
    (
        "fresh",
        "true",
        (
            DISKS,
            MOUNT,
            ("release.HostRelease", {}),
            ("release.PythonVersion", {}),
            ("docker.DockerInstalled", {}),
            ("docker.DockerRoot", {}),
            ("docker.DockerImage", {"reference": IMAGE}),
            ("systemd_unit.SystemdUnit", {"unit": "docker.service"}),
            ("packages.InstalledPackages", {"packages": ["docker.io", "python3-venv"]}),
            (
                "programs.HostPrograms",
                {"programs": ["docker", "mkfs.xfs", "sysctl"], "modules": ["venv", "ensurepip"]},
            ),
            ("gpu_nodes.GpuNodes", {}),
            ("system.UserGroups", {"users": ["ops", "nobody-of-that-name"]}),
        ),
    ),
    ("somebody's XFS", f"{CLEAR}mkfs.xfs -q -L theirs /dev/vdc", (DISKS,)),
    ("two signatures", SWAP_INSIDE, (DISKS,)),
    ("swap", f"{CLEAR}mkswap -q /dev/vdc || mkswap /dev/vdc", (DISKS,)),
    (
        "a partition",
        f"{CLEAR}echo 'label: gpt\n,1GiB' | sfdisk -q --no-reread /dev/vdc{REFRESH}",
        (DISKS,),
    ),
    (
        "a partition with a file system",
        "mkfs.xfs -q -f -L inner /dev/vdc1",
        (DISKS,),
    ),
)
AFTER: tuple[tuple[str, str, tuple[tuple[str, dict[str, Any]], ...]], ...] = (
    (
        "deployed",
        "true",
        (
            DISKS,
            MOUNT,
            ("docker.DockerInstalled", {}),
            ("docker.DockerRoot", {}),
            ("docker.DockerContents", {}),
            ("docker.DockerImage", {"reference": IMAGE}),
            ("docker.DockerImage", {"reference": "nobody/nothing:1"}),
            ("docker.DockerContainer", {"container": ENGINE}),
            ("docker.DockerContainer", {"container": "nobody"}),
            ("systemd_unit.SystemdUnit", {"unit": "docker.service"}),
            ("systemd_unit.SystemdUnit", {"unit": "vllm.service"}),
            ("systemd_unit.SystemdUnit", {"unit": "nobody.service"}),
            ("system.ManagerEnvironment", {}),
            ("packages.InstalledPackages", {"packages": ["docker.io", "docker-cli"]}),
            ("programs.HostPrograms", {"programs": ["docker", "dockerd"], "modules": []}),
        ),
    ),
    # Where the daemon's socket cannot be asked, the program is.
    (
        "docker's program",
        "true",
        (
            ("docker.DockerRoot", {}),
            ("docker.DockerImage", {"reference": IMAGE}),
            ("docker.DockerImage", {"reference": "nobody/nothing:1"}),
            ("docker.DockerContainer", {"container": ENGINE}),
            ("docker.DockerContainer", {"container": "nobody"}),
        ),
    ),
    (
        "the engine stopped",
        "systemctl stop vllm.service",
        (
            ("systemd_unit.SystemdUnit", {"unit": "vllm.service"}),
            ("docker.DockerContainer", {"container": ENGINE}),
        ),
    ),
)
PROGRAM_INSTEAD = "docker's program"


def main(codenames: list[str]) -> int:
    for codename in codenames or [machine.release().codename]:
        name = f"record-{codename}"
        (droplet,) = droplets.up(PATHS, [name], Wanted(release=codename), _say)
        try:
            recorded = _states(droplet, BEFORE)
            droplets.reset_disk(PATHS, name, _say)
            _deploy(name)
            recorded += _states(droplet, AFTER)
        finally:
            droplets.down(PATHS, name, _say)
        file = HERE / f"{codename}.json"
        file.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
        _say(f"{file}: {len(recorded)} answers")
    return 0


def _states(
    droplet: Droplet, states: tuple[tuple[str, str, tuple[tuple[str, dict[str, Any]], ...]], ...]
) -> list[dict[str, Any]]:
    recorded = []
    for state, preparation, facts in states:
        _ssh(droplet, f"set -e; {preparation}")
        for name, arguments in facts:
            module, _, kind = name.partition(".")
            fact = getattr(importlib.import_module(f"rocminfra.facts.{module}"), kind)()
            command = fact.command(**arguments)
            text = command if isinstance(command, str) else command.get_raw_value()
            if state == PROGRAM_INSTEAD:
                text = _without_the_socket(text)
            output = _anonymous(droplet, _ssh(droplet, text)).splitlines()
            recorded.append(
                {"state": state, "fact": name, "arguments": arguments, "output": output}
            )
            _say(f"{droplet.name}: {state}: {name}")
    return recorded


def _without_the_socket(text: str) -> str:
    """The command of a Docker fact without its first way, which asks the socket."""
    first, separator, rest = text.partition(" || ! command -v docker")
    assert separator, first
    return f"! command -v docker{rest}"


def _deploy(name: str) -> None:
    command = [sys.executable, "-m", "rocminfra", "apply", "-y", "-i", "inventory/lab.py"]
    subprocess.run([*command, "--limit", name], cwd=ROOT, check=True)


def _ssh(droplet: Droplet, command: str) -> str:
    done = subprocess.run(
        [*keys.ssh_command(PATHS, droplet), f"sh -c {shlex.quote(command)}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command[-400:]}\n{done.stdout}{done.stderr}"
    return done.stdout


def _anonymous(droplet: Droplet, text: str) -> str:
    """Without what is this machine's and no droplet's: its folders and its wheels."""
    lent = {str(path): f"/lent/{n}" for n, path in enumerate(_lent())}
    known = {str(PATHS.droplet(droplet.name)): "/lab/droplet", str(PATHS.cache): "/lab/cache"}
    for path, other in {**lent, **known}.items():
        text = text.replace(path, other).replace(path.lstrip("/"), other.lstrip("/"))
    return re.sub(re.escape(droplet.name), "droplet", text)


def _lent() -> tuple[Path, ...]:
    return machine.local_paths(machine.pip_settings())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
