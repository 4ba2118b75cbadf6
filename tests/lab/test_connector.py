"""@rocminfra/NAME against the plain connector, over real SSH: the same answers, the same runs."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyinfra.facts
import pytest
from lab_host import PATHS, LabHost
from pyinfra.api import FactBase

from rocminfra.lab import hosts as lab_hosts

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "connector_program.py"
COUNTING = ROOT / "tests" / "performance" / "counting_pyinfra.py"

Question = tuple[str, dict[str, Any], dict[str, Any]]

# What differs from one second to the next when asked without arguments, batch or not: of these
# only kind and errors are equal.
VOLATILE = {
    "pyinfra.facts.docker.DockerContainers",
    "rocminfra.facts.docker.DockerContents",
    "pyinfra.facts.hardware.BlockDevices",
    "pyinfra.facts.hardware.Memory",
    "pyinfra.facts.hardware.NetworkDevices",
    "pyinfra.facts.docker.DockerContainerStats",
    "pyinfra.facts.docker.DockerSystemInfo",
    "pyinfra.facts.server.Date",
    "pyinfra.facts.server.LoadAverage",
    "pyinfra.facts.server.Ports",
    "pyinfra.facts.server.Processes",
    "pyinfra.facts.server.Sysctl",
    "pyinfra.facts.server.Uptime",
    "pyinfra.facts.systemd.SystemdEnabled",
    "pyinfra.facts.systemd.SystemdStatus",
}

# How full the scratch disk is differs while the engine and Docker write there.
FILLING = "rocminfra.facts.scratch_mount.ScratchMountStatus"

# What these programs print has the time in it; the facts made of it have not.
DATED = "pyinfra.facts.iptables."


def without_arguments() -> list[Question]:
    """Every fact of pyinfra that needs no arguments."""
    questions: list[Question] = []
    for module in pkgutil.iter_modules(pyinfra.facts.__path__, "pyinfra.facts."):
        if module.ispkg:
            continue
        for fact in vars(importlib.import_module(module.name)).values():
            if not (isinstance(fact, type) and issubclass(fact, FactBase)):
                continue
            if (
                fact.__module__ != module.name
                or "command" not in dir(fact)
                or "Base" in fact.__name__
            ):
                continue
            if callable(fact.command) and any(
                parameter.default is inspect.Parameter.empty and name != "self"
                for name, parameter in inspect.signature(fact.command).parameters.items()
            ):
                continue
            questions.append((f"{fact.__module__}.{fact.__qualname__}", {}, {}))
    return questions


def with_arguments(**global_arguments: Any) -> list[Question]:
    """Facts with arguments, of pyinfra and of ours."""
    paths = ("/etc/passwd", "/etc", "/etc/shadow", "/tmp/it's a file")
    asked: list[tuple[str, dict[str, Any]]] = [
        *(("pyinfra.facts.files.File", {"path": path}) for path in paths),
        *(("pyinfra.facts.files.FileContents", {"path": path}) for path in paths),
        *(("pyinfra.facts.files.Sha256File", {"path": path}) for path in paths),
        *(("pyinfra.facts.files.Directory", {"path": path}) for path in ("/etc", "~/.ssh")),
        ("pyinfra.facts.files.Link", {"path": "/etc/mtab"}),
        ("pyinfra.facts.files.FindInFile", {"path": "/etc/passwd", "pattern": "^r.*t"}),
        ("pyinfra.facts.files.FindFiles", {"path": "/etc/ssh", "maxdepth": 2}),
        ("pyinfra.facts.files.Block", {"path": "/etc/passwd"}),
        ("pyinfra.facts.deb.DebPackage", {"package": "openssh-server"}),
        ("pyinfra.facts.deb.DebPackage", {"package": "no-such-package"}),
        ("pyinfra.facts.server.Which", {"command": "sshd"}),
        ("pyinfra.facts.server.Which", {"command": "no-such-program"}),
        ("pyinfra.facts.server.Home", {"user": "root"}),
        ("pyinfra.facts.server.Sysctl", {"keys": ["kernel.ostype", "no.such.key"]}),
        ("pyinfra.facts.server.AuthorizedKeys", {"user": "root"}),
        ("pyinfra.facts.systemd.SystemdEnabled", {"services": ["ssh.service"]}),
        ("pyinfra.facts.crontab.Crontab", {"user": "root"}),
        ("rocminfra.facts.disks.Disks", {"device": "auto", "mount_point": "/mnt/models"}),
        ("rocminfra.facts.docker.DockerContainer", {"container": "none"}),
        ("rocminfra.facts.docker.DockerImage", {"reference": "none"}),
        ("rocminfra.facts.docker.DockerInstalled", {}),
        ("rocminfra.facts.docker.DockerRoot", {}),
        ("rocminfra.facts.docker.DockerContents", {}),
        ("rocminfra.facts.docker.DockerContainerdStore", {}),
        (
            "rocminfra.facts.docker_configuration.DockerConfiguration",
            {"data_root": "/mnt/models/docker"},
        ),
        ("rocminfra.facts.kept_files.KeptFiles", {"folder": "/var/lib/rocminfra/before/engine"}),
        ("rocminfra.facts.guidellm.GuidellmEnvironment", {"path": "/opt/rocminfra/guidellm-x"}),
        ("rocminfra.facts.gpu_memory.GpuMemory", {}),
        ("rocminfra.facts.gpu_memory.Gpus", {}),
        ("rocminfra.facts.gpu_nodes.GpuNodes", {}),
        ("rocminfra.facts.model_folder.ModelFolder", {"path": "/etc/ssh"}),
        ("rocminfra.facts.packages.InstalledPackages", {"packages": ["sudo", "no-such-package"]}),
        ("rocminfra.facts.paths.PathStates", {"paths": ["/etc/passwd", "/nonexistent"]}),
        ("rocminfra.facts.scratch_mount.ScratchMountStatus", {"mount_point": "/mnt/models"}),
        ("rocminfra.facts.system.KernelSetting", {"key": "kernel.numa_balancing"}),
        ("rocminfra.facts.system.ManagerEnvironment", {}),
        ("rocminfra.facts.system.UserGroups", {"users": ["root", "ops", "nobody"]}),
        ("rocminfra.facts.system.GroupExists", {"group": "render"}),
        ("rocminfra.facts.systemd_unit.SystemdUnit", {"unit": "ssh.service"}),
        ("rocminfra.facts.systemd_unit.UnitCommand", {"unit": "ssh.service"}),
    ]
    return [(fact, arguments, dict(global_arguments)) for fact, arguments in asked]


def compare(
    droplet: LabHost, questions: list[Question], cache: Path, user: str = "root"
) -> list[dict[str, Any]]:
    """Ask both ways; every answer must be the same. What was asked, as the program printed it."""
    data = connection(droplet, user)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps({"data": data, "questions": questions})],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    asked: list[dict[str, Any]] = json.loads(done.stdout)
    different = [
        answer
        for (name, arguments, _), answer in zip(questions, asked, strict=True)
        if not is_same(name, arguments, answer)
    ]
    assert different == []
    return asked


def is_same(name: str, arguments: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether a fact's answers are the same, as far as two of them at different times can be."""
    batch, live = answer["batch"], answer["live"]
    values = answer["values"]
    if (name in VOLATILE and not arguments) or name == FILLING:
        kinds = [(said[0], bool(said[1]), said[2]) for said in (batch, live)]
        return bool(kinds[0] == kinds[1] and values[0][0] == values[1][0])
    return bool((batch == live or name.startswith(DATED)) and values[0] == values[1])


def connection(droplet: LabHost, user: str) -> dict[str, Any]:
    everything = lab_hosts.data(PATHS, droplet.droplet)
    data = {key: value for key, value in everything.items() if key.startswith("ssh_")}
    return {**data, "ssh_user": user, "ssh_config_file": "/dev/null"}


def test_pyinfras_own_facts_are_the_same(droplet: LabHost, tmp_path: Path) -> None:
    asked = compare(droplet, without_arguments(), tmp_path)
    batched = {answer["fact"] for answer in asked if answer["batched"]}
    assert len(batched) >= 60
    # Whatever could not be batched would be a hole in "every fact".
    assert {answer["fact"] for answer in asked} - batched == set()


@pytest.mark.parametrize(
    ("user", "global_arguments"),
    [
        ("root", {}),
        ("ops", {}),
        ("ops", {"_sudo": True}),
        ("ops", {"_sudo": True, "_sudo_user": "nobody"}),
        ("ops", {"_sudo": True, "_use_sudo_login": True}),
        ("root", {"_su_user": "ops"}),
        ("root", {"_env": {"LC_ALL": "C", "QUOTED": "it's $HOME"}}),
        ("root", {"_chdir": "/etc/ssh"}),
        ("root", {"_shell_executable": "bash"}),
        ("ops", {"_sudo": True, "_sudo_user": "no-such-user"}),
    ],
)
def test_facts_with_arguments_are_the_same_for_everybody(
    droplet: LabHost, tmp_path: Path, user: str, global_arguments: dict[str, Any]
) -> None:
    asked = compare(droplet, with_arguments(**global_arguments), tmp_path, user)
    live = [answer["fact"] for answer in asked if not answer["batched"]]
    assert live == []


def test_a_login_shell_that_talks_or_changes_the_environment_changes_no_answer(
    new_droplets: Callable[..., tuple[LabHost, ...]], tmp_path: Path
) -> None:
    (host,) = new_droplets()
    questions: list[Question] = [
        *(("pyinfra.facts.server.Path", {}, {}), ("pyinfra.facts.server.User", {}, {})),
        *(("pyinfra.facts.server.Hostname", {}, {}), ("pyinfra.facts.server.TmpDir", {}, {})),
    ]
    host.ok("echo 'export PATH=$PATH:/opt/ours TMPDIR=/var/tmp' > ~/.bashrc")
    asked = compare(host, questions, tmp_path / "1")
    assert all(answer["batched"] for answer in asked)
    assert asked[0]["batch"][1][0].endswith(":/opt/ours")
    host.ok("echo 'echo Welcome' >> ~/.bashrc")
    asked = compare(host, questions, tmp_path / "2")
    assert all(answer["batched"] for answer in asked)
    assert asked[2]["batch"][1] == [host.name]
    host.ok("rm ~/.bashrc; mv /usr/bin/python3 /usr/bin/no-python3")
    asked = compare(host, questions, tmp_path / "3")
    assert not any(answer["batched"] for answer in asked)
    host.ok("mv /usr/bin/no-python3 /usr/bin/python3")


class Deploys:
    """Runs of deploy.py against one droplet, with one cache.

    + names: how many hosts the droplet stands for
    """

    def __init__(self, droplet: LabHost, cache: Path) -> None:
        self.droplet = droplet
        self.cache = cache
        self.counted = cache / "counted.json"

    def run(self, *options: str, connector: str = "rocminfra", names: int = 1) -> str:
        """pyinfra's output; it must succeed."""
        command = [sys.executable, str(COUNTING), str(self.counted), "-y", *options]
        done = subprocess.run(
            [*command, "tests/performance/measured_hosts.py", "deploy.py"],
            cwd=ROOT,
            env=self.environment(connector, names),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def environment(self, connector: str, names: int) -> dict[str, str]:
        return {
            **os.environ,
            "XDG_CACHE_HOME": str(self.cache),
            "ROCMINFRA_LAB_CACHE": str(PATHS.cache.parent),
            "MEASURE_DROPLET": self.droplet.name,
            "MEASURE_CONNECTOR": connector,
            "MEASURE_HOSTS": str(names),
            "MEASURE_PORT": "",
        }

    @property
    def execs(self) -> int:
        """SSH execs of the last run."""
        return int(json.loads(self.counted.read_text())["execs"])

    @property
    def learned(self) -> Path:
        (path,) = (self.cache / "rocminfra" / "facts").glob("*.json")
        return path

    def questions(self) -> list[Question]:
        """What the deploy is known to ask."""
        known = json.loads(self.learned.read_text())["questions"]
        return [(item["fact"], item["arguments"], {}) for item in known]


def outcome(text: str) -> list[str]:
    """The results table of a run, without times and names of connections."""
    lines = text[text.index("--> Results:") :].splitlines()
    return [" ".join(line.split()) for line in lines if "|" in line or "total" in line]


def test_a_deploy_does_the_same_and_asks_the_same_in_every_state_of_a_host(
    new_droplets: Callable[..., tuple[LabHost, ...]], tmp_path: Path
) -> None:
    """Fresh, converged and damaged; the whole playbook, by both connectors."""
    (host,) = new_droplets()
    deploys = Deploys(host, tmp_path)

    pyinfras = without_arguments()
    deploys.run("--dry")
    first_dry = deploys.execs
    compare(host, deploys.questions(), tmp_path / "fresh")
    compare(host, pyinfras, tmp_path / "pyinfra's fresh")
    assert host.ssh("blkid --probe /dev/vdc").returncode == 2, "a dry run changed the host"

    deploys.run()
    assert deploys.execs > first_dry // 4
    converged = deploys.questions()
    compare(host, [*converged, *with_arguments()], tmp_path / "converged")
    compare(host, pyinfras, tmp_path / "pyinfra's converged")

    plain = outcome(deploys.run(connector="ssh"))
    operations = int(plain[-1].split()[2])
    assert plain[-1].split()[2:] == [str(operations), "-", "-", str(operations)]
    plain_execs = deploys.execs
    assert outcome(deploys.run()) == plain
    assert deploys.execs <= 4 < plain_execs
    # Sixteen connections at once, of hosts that are in no list yet.
    many = outcome(deploys.run(names=16))
    assert many[-1].split()[2:] == [str(16 * operations), "-", "-", str(16 * operations)]
    assert deploys.execs <= 4 * 16

    damage = "systemctl stop vllm; echo >> /etc/rocminfra/vllm.env; rm /etc/udev/rules.d/70-*"
    host.ok(damage)
    compare(host, [*converged, *with_arguments()], tmp_path / "damaged")
    compare(host, pyinfras, tmp_path / "pyinfra's damaged")
    repaired = outcome(deploys.run())
    host.ok(damage)
    assert outcome(deploys.run(connector="ssh")) == repaired
    assert outcome(deploys.run()) == plain


def test_what_is_planted_in_the_list_does_not_run_on_a_host_not_even_dry(
    droplet: LabHost, tmp_path: Path
) -> None:
    deploys = Deploys(droplet, tmp_path)
    deploys.run("--dry")
    planted = [
        {"fact": "pyinfra.facts.server.Command", "arguments": {"command": "touch /tmp/planted"}},
        {"fact": "pyinfra.facts.files.File", "arguments": {"path": "$(touch /tmp/planted)"}},
        {"fact": "pyinfra.facts.pip.PipPackages", "arguments": {"pip": "touch /tmp/planted;"}},
        {
            "fact": "pyinfra.facts.files.FindFiles",
            "arguments": {"path": "/tmp", "args": ["-exec", "touch", "/tmp/planted", ";"]},
        },
        {"fact": "os.system", "arguments": {"command": "touch /tmp/planted"}},
        {
            "fact": "pyinfra.facts.server.Kernel",
            "arguments": {},
            "identity": {"_shell_executable": "touch /tmp/planted; sh"},
        },
        {
            "fact": "pyinfra.facts.server.Kernel",
            "arguments": {},
            "identity": {"_env": {"X": "'; touch /tmp/planted; '"}},
        },
    ]
    document = json.loads(deploys.learned.read_text())
    for record in planted:
        question = {"identity": {}, "supplied": [], **record}
        document["hosts"][f"{droplet.name}-0"].append([len(document["questions"]), 0])
        document["questions"].append(question)
    deploys.learned.write_text(json.dumps(document))
    deploys.run("--dry")
    assert deploys.execs < len(document["hosts"][f"{droplet.name}-0"]), (
        "the list was not used at all"
    )
    assert droplet.ssh("test -e /tmp/planted").returncode == 1
