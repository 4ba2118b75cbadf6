"""The main job on two droplets at once: planned, deployed, deployed again, changed, broken.

One deploy serves all tests of this module; the later ones build on what it left, in order.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lab_host
import published_scenarios
import pytest
from bench_droplets import left
from deploys import BLANK, FILES, FRESH, IDENTITY, ROOT, Run, pyinfra, rocminfra
from lab_host import LabHost

from rocminfra.lab import hosts as lab_hosts

pytestmark = pytest.mark.lab

# What a deploy writes outside the scratch disk and the packages it installs; docs/undo.md says how
# each goes away again.
OURS = {
    "/etc/docker/daemon.json",
    "/etc/environment.d/50-rocminfra.conf",
    "/etc/profile.d/rocminfra.sh",
    "/etc/rocminfra/vllm.env",
    "/etc/rocminfra/vllm.json",
    "/etc/sysctl.d/60-rocminfra.conf",
    "/etc/systemd/system.conf.d/50-rocminfra.conf",
    "/etc/systemd/system/docker.service.d/50-rocminfra-scratch.conf",
    "/etc/systemd/system/vllm.service",
    "/etc/udev/rules.d/70-rocminfra-gpu.rules",
    "/usr/local/lib/rocminfra/fetch/rocminfra/__init__.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/__init__.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/fetch/__init__.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/fetch/docker_api.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/fetch/image.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/fetch/model.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/fetch/sockets.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/host/fetch/supervised.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/hub/__init__.py",
    "/usr/local/lib/rocminfra/fetch/rocminfra/hub/repository.py",
    "/usr/local/lib/rocminfra/preflight.py",
    "/usr/local/lib/rocminfra/readiness.py",
    "/usr/local/lib/rocminfra/scratch_guard.py",
    "/usr/local/lib/rocminfra/shared/rocminfra/__init__.py",
    "/usr/local/lib/rocminfra/shared/rocminfra/planning/__init__.py",
    "/usr/local/lib/rocminfra/shared/rocminfra/planning/gpus/__init__.py",
    "/usr/local/lib/rocminfra/shared/rocminfra/planning/gpus/amd_smi_output.py",
    "/usr/local/lib/rocminfra/shared/rocminfra/planning/gpus/gpu_selection.py",
}
STARTED_AT = "docker inspect -f '{{.State.StartedAt}}' vllm-qwen2-vl-72b"
SCENARIO = """\
description: one short point
data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}
stages:
  - {profile: concurrent, streams: [4]}
max_seconds: 3
overhead_seconds: 90
worker_processes: 2
sample_size: 20
"""


@dataclass
class Deployed:
    """Two droplets and what was seen of them at each step."""

    hosts: tuple[LabHost, ...]
    dry: Run
    first: Run
    second: Run
    seen: dict[str, list[str]]


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    hosts = lab_host.up(["main-a", "main-b"])
    try:
        for host in hosts:
            # What the last services of the boot write is not our change.
            host.ssh("systemctl is-system-running --wait")
        seen = {"fresh": [host.ok(f"{FRESH}; {BLANK} || true") for host in hosts]}
        dry = pyinfra(hosts, "deploy.py", "--dry")
        seen["dry"] = [host.ok(f"{FRESH}; {BLANK} || true") for host in hosts]
        first = pyinfra(hosts, "-y", "deploy.py", "--json")
        seen["files 1"] = [host.ok(FILES) for host in hosts]
        seen["identity 1"] = [host.ok(IDENTITY) for host in hosts]
        second = pyinfra(hosts, "-y", "deploy.py", "--json")
        seen["files 2"] = [host.ok(FILES) for host in hosts]
        seen["identity 2"] = [host.ok(IDENTITY) for host in hosts]
        yield Deployed(hosts, dry, first, second, seen)
    finally:
        for host in hosts:
            lab_host.down(host.name)


def test_a_dry_run_shows_changes_and_makes_none(deployed: Deployed) -> None:
    assert deployed.dry.code == 0, deployed.dry.err
    assert "Prepare the scratch disk" in deployed.dry.err
    for fresh, dry in zip(deployed.seen["fresh"], deployed.seen["dry"], strict=True):
        assert dry.splitlines() == fresh.splitlines()


def test_the_first_run_makes_a_served_model(deployed: Deployed) -> None:
    assert deployed.first.code == 0, deployed.first.err
    for host in deployed.hosts:
        assert "xfs" in host.ok("findmnt -n -o FSTYPE --mountpoint /mnt/models")
        assert host.ok("docker info -f '{{.DockerRootDir}}'").strip() == "/mnt/models/docker"
        assert host.ok("ls -A /var/lib/docker").strip() == "", "a daemon ran on the root disk"
        models = host.ok(
            "python3 -c 'import urllib.request as u; "
            'print(u.urlopen("http://127.0.0.1:8000/v1/models").read().decode())\''
        )
        assert json.loads(models)["data"][0]["id"] == "Qwen/Qwen2-VL-72B-Instruct"


def test_nothing_is_reachable_from_outside(deployed: Deployed) -> None:
    for host in deployed.hosts:
        listening = host.ok("ss -Hltn 'sport = :8000'").split()
        assert "127.0.0.1:8000" in listening
        assert not any(word.startswith(("0.0.0.0:8000", "*:8000")) for word in listening)


def test_a_second_run_changes_nothing_and_restarts_nothing(deployed: Deployed) -> None:
    assert deployed.second.code == 0, deployed.second.err
    assert deployed.second.changed == []
    assert len(deployed.second.operations) == len(deployed.first.operations) >= 15
    for what in ("files", "identity"):
        pairs = zip(deployed.seen[f"{what} 1"], deployed.seen[f"{what} 2"], strict=True)
        for before, after in pairs:
            assert set(before.splitlines()) ^ set(after.splitlines()) == set()


def test_caches_are_known_to_shells_services_and_the_container(deployed: Deployed) -> None:
    host, home = deployed.hosts[0], "HF_HOME=/mnt/models/huggingface"
    assert home in host.ok("bash -lc env")
    assert home in host.ok("systemd-run --quiet --pipe --wait env")
    assert home in host.ok("docker exec vllm-qwen2-vl-72b env")


def test_the_container_has_no_more_rights_than_it_needs(deployed: Deployed) -> None:
    (document,) = json.loads(deployed.hosts[0].ok("docker inspect vllm-qwen2-vl-72b"))
    config = document["HostConfig"]
    assert config["Privileged"] is False
    assert not config["CapAdd"]
    assert sorted(config["GroupAdd"]) == ["44", "992"], "the numbers of this host's own nodes"
    assert config["Init"] is True


def test_every_file_of_ours_is_known(deployed: Deployed) -> None:
    host = deployed.hosts[0]
    new = host.ok(
        "find /etc /usr/local /opt -xdev -type f -newer /proc/1/cmdline | "
        "grep -v -e '^/etc/.*-$' -e '\\.cache$' || true"
    ).split()
    packaged = host.ok("cat /var/lib/dpkg/info/*.list /var/lib/dpkg/info/*.conffiles").split()
    written_by_packages = {"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}
    kept = {"/etc/fstab", *written_by_packages}
    assert set(new) >= OURS
    foreign = {path for path in new if "rocminfra" in path or "vllm" in path} - OURS
    assert foreign == set()
    unexpected = set(new) - OURS - set(packaged) - kept
    assert {path for path in unexpected if path.startswith(("/usr/local", "/opt"))} == set()


@pytest.mark.parametrize("task", ["storage", "rocm", "docker", "image", "huggingface", "vllm"])
def test_each_task_runs_alone_and_finds_nothing_to_do(deployed: Deployed, task: str) -> None:
    run = pyinfra(deployed.hosts[:1], "-y", f"tasks/{task}.py", "--json")
    assert run.code == 0, run.err
    assert run.operations
    assert run.changed == []


def test_a_bad_key_is_refused_before_the_first_operation(deployed: Deployed) -> None:
    before = deployed.hosts[0].ok(IDENTITY)
    run = pyinfra(deployed.hosts[:1], "-y", "deploy.py", "--data", "vllm.max_num_seq=32")
    assert run.code == 1
    assert "vllm.max_num_seq: unknown key (did you mean vllm.max_num_seqs?)" in run.err
    assert "Starting operation" not in run.err
    assert "Traceback" not in run.err
    assert deployed.hosts[0].ok(IDENTITY) == before


def test_the_sudo_user_finds_nothing_to_do_either(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCMINFRA_LAB_USER", "ops")
    run = pyinfra(deployed.hosts[1:], "-y", "deploy.py", "--json")
    assert run.code == 0, run.err
    assert run.changed == []


def test_a_jump_host_of_the_ssh_configuration_is_used(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Behind the jump, 127.0.0.1 is the droplet itself; before it, there is no sshd of the lab's.
    host = deployed.hosts[0]
    data = lab_hosts.data(lab_host.PATHS, host.droplet)
    common = f"User root\nIdentityFile {data['ssh_key']}\nStrictHostKeyChecking accept-new\n"
    configuration = tmp_path / "ssh_config"
    configuration.write_text(
        f"Host bastion\nHostName {host.address}\n{common}"
        f"Host inner\nHostName 127.0.0.1\nProxyJump bastion\n{common}"
    )
    inventory = tmp_path / "hosts.py"
    del data["ssh_hostname"], data["ssh_known_hosts_file"], data["ssh_strict_host_key_checking"]
    data["ssh_config_file"] = str(configuration)
    inventory.write_text(f"hosts = [('inner', {data!r})]\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    command = [sys.executable, "-m", "pyinfra", "-y", str(inventory), "tasks/storage.py", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert Run(done.returncode, done.stdout, done.stderr).changed == []


def test_a_changed_setting_restarts_the_engine_exactly_once(deployed: Deployed) -> None:
    host = deployed.hosts[0]
    change = ("--data", "vllm.max_num_seqs=32")
    starts = "journalctl -u vllm.service -o cat | grep -c '^Started vllm.service'"
    before = int(host.ok(starts))
    run = pyinfra((host,), "-y", "deploy.py", "--json", *change)
    assert run.code == 0, run.err
    assert int(host.ok(starts)) == before + 1
    started_at = host.ok(STARTED_AT)
    again = pyinfra((host,), "-y", "deploy.py", "--json", *change)
    assert again.changed == []
    assert host.ok(STARTED_AT) == started_at


def test_a_run_cut_off_before_the_restart_is_finished_by_the_next(deployed: Deployed) -> None:
    # The unit that the last test left is replaced without a restart, as a killed run would.
    host = deployed.hosts[0]
    before = host.ok(STARTED_AT)
    host.ok("sed -i s/max-num-seqs=32/max-num-seqs=64/ /etc/systemd/system/vllm.service")
    run = pyinfra((host,), "-y", "deploy.py", "--json")
    assert run.code == 0, run.err
    assert host.ok(STARTED_AT) != before
    assert "max-num-seqs=64" in host.ok("docker inspect vllm-qwen2-vl-72b")


def test_an_engine_that_runs_out_of_memory_is_said_so_with_its_own_words(
    deployed: Deployed,
) -> None:
    host = deployed.hosts[1]
    broken = '{"ROCMINFRA_SIM_FAIL": "oom-at-load", "ROCMINFRA_SIM_TIME_SCALE": "20"}'
    run = rocminfra(host, "apply", "-y", "--data", f"engine.environment={broken}")
    assert run.code == 7, run.err
    assert "HIP out of memory" in run.err
    assert "the engine from before is back and serves" in run.err
    assert run.err.strip().splitlines()[-1].startswith("next: ")
    again = rocminfra(host, "plan", "--exit-code")
    assert again.code == 0, again.out + again.err


def test_the_real_guidellm_measures_and_its_results_come_back_verified(
    deployed: Deployed, tmp_path: Path
) -> None:
    host = deployed.hosts[0]
    scenario = tmp_path / "short.yaml"
    scenario.write_text(SCENARIO)
    run = pyinfra(
        (host,),
        *("-y", "tasks/benchmark.py", "--json", "--data", f"bench.scenario={scenario}"),
        *("--data", f"bench.results_dir={tmp_path}"),
    )
    assert run.code == 0, run.err
    (results,) = (path for path in tmp_path.iterdir() if path.is_dir())
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "MANIFEST.sha256"],
        cwd=results,
        check=True,
        timeout=60,
    )
    (report,) = results.glob(f"{host.name}/*/report.json")
    (benchmark,) = json.loads(report.read_text())["benchmarks"]
    totals = benchmark["metrics"]["request_totals"]
    assert totals["successful"] > 0
    lines = report.with_name("requests.jsonl").read_text().splitlines()
    requests = [one for one in map(json.loads, lines) if one["in_window"]]
    outcomes = [one["outcome"] for one in requests]
    names = {"successful": "completed", "errored": "errored", "incomplete": "incomplete"}
    assert {name: outcomes.count(ours) for name, ours in names.items()} == {
        name: totals[name] for name in names
    }
    # The chat template's tokens are on top of the 128.
    done = [one for one in requests if one["outcome"] == "completed"]
    assert all(one["tokens_out"] == 32 and one["tokens_in"] > 128 for one in done)
    assert all(one["start"] < one["first_token"] < one["end"] for one in done)
    record = json.loads(report.with_name("point.json").read_text())
    (attempt,) = record["attempts"]
    sources = attempt["telemetry"]["sources"]
    assert sources["power_w"] == sources["vram_used_mib"] == "driver"
    assert sources["energy_j"] == "amd-smi", "the counter, which no file has"
    assert attempt["telemetry"]["cpu_seconds"] < 0.01 * attempt["seconds"]
    samples = report.with_name("telemetry.jsonl").read_text().splitlines()
    gpus = [json.loads(line)["gpus"][0] for line in samples]
    assert all(gpu["power_w"] == 612 for gpu in gpus)
    counter = [gpu["energy_j"] for gpu in gpus if gpu["energy_j"] is not None]
    assert 2 <= len(counter) <= 2 + attempt["seconds"] / 30
    assert counter == sorted(counter)
    run_json = json.loads((results / host.name / "run.json").read_text())
    provenance = run_json["provenance"]
    assert "--max-num-seqs=64" in provenance["engine_arguments"]
    assert provenance["image_id"].startswith("sha256:")
    assert provenance["image_digest"] is None
    assert "archive" in provenance["unknown"]["image_digest"]
    assert provenance["guidellm"]["version"] == "0.8.1"
    assert provenance["guidellm"]["patched"] is True
    assert provenance["gpus"][0]["power_cap_w"] == 750
    assert provenance["gpus"][0]["firmware"] is None
    assert "gpus.firmware" in provenance["unknown"]
    files = provenance["model_files"]
    assert len(files["config.json"]["sha256"]) == 64
    assert len(provenance["rocminfra"]["settings_sha256"]) == 64
    assert "MI300X simulated ×20" in run.err, "nobody may take these figures for real ones"


def test_another_host_sends_the_load_through_a_tunnel(deployed: Deployed, tmp_path: Path) -> None:
    # Its GuideLLM is there since the test before; the engine's host has none.
    load, host = deployed.hosts
    scenario = tmp_path / "short.yaml"
    scenario.write_text(SCENARIO)
    keys = "cat /root/.ssh/authorized_keys; stat -c %y /root/.ssh/authorized_keys"
    before = load.ok(keys)
    run = rocminfra(
        host,
        *("bench", "--scenario", str(scenario), "--data", f"bench.load_generator={load.name}"),
        *("--data", f"bench.results_dir={tmp_path}/results"),
    )
    assert run.code == 0, run.err
    assert f"load from {load.name} (SSH tunnel)" in run.out
    (folder,) = (tmp_path / "results").glob(f"*/{host.name}")
    record = json.loads((folder / "run.json").read_text())
    machine = record["provenance"]["load_generator"]
    assert (machine["host"], machine["way"]) == (load.name, "SSH tunnel")
    assert machine["clock"]["furthest_s"] < 0.1
    (point,) = record["points"]
    assert point["outcome"] == "valid"
    assert point["figures"]["completed"] > 0
    assert point["engine"]["unchecked"] == []
    assert host.ssh("ls -d /opt/rocminfra/guidellm-*").returncode != 0
    assert load.ok(keys) == before
    assert left(load) == left(host) == ""


def test_the_published_docvqa_runs_on_pages_that_are_made_there(
    deployed: Deployed, tmp_path: Path
) -> None:
    published_scenarios.check_docvqa(deployed.hosts[0], tmp_path)


def test_the_published_sweep_runs_in_guidellms_own_process(
    deployed: Deployed, tmp_path: Path
) -> None:
    published_scenarios.check_native_sweep(deployed.hosts[0], tmp_path)


def test_without_the_scratch_disk_neither_engine_nor_docker_starts(deployed: Deployed) -> None:
    host = deployed.hosts[1]
    host.ok("systemctl stop vllm.service docker.socket docker.service && umount /mnt/models")
    assert host.ssh("touch /mnt/models/file").returncode != 0, "the root disk would be filled"
    assert host.ssh("systemctl start docker.service").returncode != 0
    assert "is not mounted" in host.ok("journalctl -u docker.service -o cat -n 30")
    assert host.ssh("systemctl start vllm.service").returncode != 0
    assert host.ok("ls -A /mnt/models").strip() == ""
    run = pyinfra((host,), "-y", "deploy.py", "--json")
    assert run.code == 0, run.err
    assert "tasks/storage.py | Prepare the scratch disk" in run.changed


def test_what_the_undo_page_says_takes_everything_away_but_the_data(deployed: Deployed) -> None:
    host = deployed.hosts[1]
    page = (ROOT / "docs" / "undo.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```sh\n(.+?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    uuid = host.ok("blkid -p -s UUID -o value /dev/vdc")
    host.ok(f"set -eux\n{script}")
    assert host.ok(f"ls -d {' '.join(sorted(OURS))} 2>/dev/null || true") == ""
    left = host.ok("find / -xdev -iname '*rocminfra*' -not -path '/proc/*' | sort").split()
    assert [path for path in left if "rocminfra-lab" not in path and "/srv/" not in path] == []
    assert (
        host.ssh("command -v docker || findmnt /mnt/models || test -e /mnt/models").returncode != 0
    )
    assert "/mnt/models" not in host.ok("cat /etc/fstab")
    assert "HF_HOME" not in host.ok("systemctl show-environment; bash -lc env")
    assert host.ok("systemctl list-units --failed --no-legend --plain") == ""
    assert host.ok("blkid -p -s UUID -o value /dev/vdc") == uuid, "the data is never touched"
