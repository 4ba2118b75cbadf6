"""What serves on a host goes on serving: refused changes, and changes that go wrong.

One droplet for all of it, in order: a Docker of the host's own, which becomes the engine's, and an
engine that is to be replaced by ones that cannot serve.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import lab_host
import pytest
from docker_ways import THERE, WAYS, looked
from lab_host import LabHost
from made_images import FOR_ARM, made_from_the_engines
from runner_calls import COMPLETION, apply, rocminfra

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
CASE = ROOT / "tests/cases/docker/logopts-daemon.json"
DAEMON_JSON = "/etc/docker/daemon.json"
SERVES = "docker info --format '{{.DockerRootDir}}'"
STARTED_AT = "docker inspect -f '{{.State.StartedAt}}' vllm-qwen2-vl-72b"
# Dies once, at once, and is not tried again.
BROKEN = (
    *("--data", 'engine.environment={"ROCMINFRA_SIM_FAIL": "crash-loop"}'),
    *("--data", "engine.restart_delay_s=1", "--data", "engine.start_limit_burst=1"),
)


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    """A droplet with a Docker that somebody has configured."""
    (made,) = lab_host.up(["serves"])
    try:
        made.ok(f"mkdir -p /etc/docker; cat >{DAEMON_JSON} <<'EOF'\n{CASE.read_text()}EOF")
        made.ok("apt-get update -qq && apt-get install -y -qq docker.io", timeout_s=600)
        assert made.ok(SERVES).strip() == "/var/lib/docker"
        storage = apply(made, "tasks/storage.py")
        assert storage.returncode == 0, storage.stderr
        yield made
    finally:
        lab_host.down(made.name)


def theirs(host: LabHost) -> bool:
    """Whether Docker runs as its owner has configured it."""
    drop_in = host.ssh("test -e /etc/systemd/system/docker.service.d/50-rocminfra-scratch.conf")
    untouched = host.ok(f"cat {DAEMON_JSON}") == CASE.read_text() and drop_in.returncode != 0
    return untouched and host.ok(SERVES).strip() == "/var/lib/docker"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("-g/srv/d", "puts Docker's data in /srv/d with a flag"),
        ("--config-file=/srv/d.json", "into /srv/d.json, and run systemctl restart docker"),
    ],
)
def test_a_docker_whose_unit_says_otherwise_is_refused_and_serves_on(
    host: LabHost, flag: str, words: str
) -> None:
    host.ok(f"cp -p /etc/default/docker /root/; echo DOCKER_OPTS={flag} >>/etc/default/docker")
    try:
        refused = apply(host, "tasks/docker.py")
    finally:
        host.ok("mv /root/docker /etc/default/docker")
    assert refused.returncode == 5, refused.stderr
    assert words in refused.stderr
    assert refused.stderr.strip().splitlines()[-1].startswith("next: ")
    assert theirs(host)


def test_a_file_that_was_broken_after_docker_started_is_found_while_docker_runs(
    host: LabHost,
) -> None:
    """Docker 20 of Debian 12, which has no flag for that; a restart would have been its end."""
    host.ok(f'cp -p {DAEMON_JSON} /root/; echo \'{{"mtu": "1450"}}\' >{DAEMON_JSON}')
    try:
        refused = apply(host, "tasks/docker.py")
    finally:
        host.ok(f"mv /root/daemon.json {DAEMON_JSON}")
    assert refused.returncode == 6, refused.stderr
    assert "cannot unmarshal string" in refused.stderr, "Docker's own words"
    assert "nothing was changed" in refused.stderr
    assert theirs(host)


def test_a_docker_that_is_off_is_not_started_by_a_plan_or_a_status(host: LabHost) -> None:
    active = "systemctl is-active docker.service docker.socket; true"
    host.ok("systemctl stop docker.service")
    try:
        planned = rocminfra(host, "plan", "tasks/docker.py")
        rocminfra(host, "status")
        assert host.ok(active).split() == ["inactive", "active"]
    finally:
        host.ok("systemctl start docker.service")
    assert planned.returncode == 0, planned.stderr
    assert "Start Docker" in planned.stdout
    assert theirs(host)


@pytest.mark.parametrize("way", WAYS)
def test_a_docker_that_has_its_data_there_in_a_way_of_its_own_is_used(
    host: LabHost, way: str
) -> None:
    make, unmake = WAYS[way]
    stop = "systemctl stop docker.service docker.socket"
    host.ok(f"{stop}; {make}; systemctl start docker && docker volume create database")
    process = "systemctl show -p InvocationID --value docker.service"
    before = host.ok(process)
    try:
        done = apply(host, "tasks/docker.py")
        again = rocminfra(host, "plan", "--exit-code", "tasks/docker.py")
        assert host.ok(process) == before, "it is not restarted"
        assert host.ok(f"cat {DAEMON_JSON}") == CASE.read_text()
    finally:
        host.ok(
            f"{stop}; {unmake} && rm -r {THERE} /etc/systemd/system/docker.service.d &&"
            "systemctl daemon-reload && systemctl start docker"
        )
    assert done.returncode == 0, done.stderr
    assert again.returncode == 0, again.stdout + again.stderr
    assert theirs(host)


def test_what_docker_has_started_with_is_not_judged_by_tables(host: LabHost) -> None:
    runtime = "/opt/kata/bin/plain"
    document = {
        "data-root": THERE,
        "storage-driver": "vfs",
        "log-opts": {
            "max-size": "10m",
            "mode": "non-blocking",
            "max-buffer-size": "4m",
            "cache-disabled": "true",
            "cache-max-size": "1m",
            "labels-regex": "^a",
            "env-regex": "^a",
            "tag": "{{.Name}}",
        },
        "default-runtime": "theirs",
        "runtimes": {"theirs": {"path": runtime}},
        "insecure-registries": ["registry:5000"],
        "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}],
        "builder": {"gc": {"enabled": True}},
    }
    text = json.dumps(document)
    process = "systemctl show -p InvocationID --value docker.service"
    host.ok(f"mkdir -p /opt/kata/bin; cp -p {DAEMON_JSON} /root/")
    host.ok(f"ln -s $(command -v runc) {runtime}; echo '{text}' >{DAEMON_JSON}")
    try:
        host.ok("systemctl restart docker.service", timeout_s=60)
        before = host.ok(process)
        proven = looked(host)
        done = apply(host, "tasks/docker.py")
        again = rocminfra(host, "plan", "--exit-code", "tasks/docker.py")
        serving = host.ok(SERVES).strip(), host.ok(process)
        written = host.ok(f"cat {DAEMON_JSON}")
        host.ok(f"touch {DAEMON_JSON}")
        changed = looked(host)
    finally:
        host.ok(
            f"mv /root/daemon.json {DAEMON_JSON}; rm -r /opt/kata {THERE}"
            " /etc/systemd/system/docker.service.d; systemctl daemon-reload;"
            "systemctl restart docker.service",
            timeout_s=60,
        )
    assert (proven.is_proven, changed.is_proven) == (True, False)
    assert done.returncode == 0, done.stderr
    assert again.returncode == 0, again.stdout + again.stderr
    assert serving == (THERE, before), "it is not restarted"
    assert json.loads(written) == document
    assert theirs(host)


def test_a_docker_that_runs_without_docker_service_is_refused_and_serves_on(host: LabHost) -> None:
    host.ok("systemctl stop docker.service docker.socket")
    host.ok("systemd-run --unit=bare --service-type=notify dockerd", timeout_s=60)
    try:
        refused = apply(host, "tasks/docker.py")
        assert host.ok("systemctl is-active bare.service").strip() == "active"
        assert theirs(host)
    finally:
        host.ok("systemctl stop bare.service; systemctl start docker.service", timeout_s=60)
    assert refused.returncode == 6, refused.stderr
    assert "runs on this host without docker.service (process " in refused.stderr
    assert "systemctl disable --now bare.service" in refused.stderr.strip().splitlines()[-1]
    assert theirs(host)


def test_somebodys_unit_of_the_engines_name_serves_on(host: LabHost) -> None:
    server = "ExecStart=/usr/bin/python3 -m http.server 8000 --bind 127.0.0.1"
    unit = "/etc/systemd/system/vllm.service"
    host.ok(f'printf "[Service]\\n%s\\n" "{server}" >{unit}; systemctl daemon-reload')
    host.ok("systemctl start vllm.service")
    try:
        refused = apply(host)
        state = host.ok("systemctl is-active vllm.service").strip()
    finally:
        host.ok(f"systemctl stop vllm.service; rm {unit}; systemctl daemon-reload")
    assert refused.returncode == 5, refused.stderr
    assert "that rocminfra did not write, and it is active" in refused.stderr
    assert state == "active"
    assert theirs(host), "decided before anything was changed"


def test_after_a_restart_that_fails_the_old_configuration_is_back_and_docker_serves(
    host: LabHost,
) -> None:
    folder = "/etc/systemd/system/docker.service.d"
    check = f"ExecStartPre=/bin/sh -c '! grep -q /mnt/models {DAEMON_JSON}'"
    host.ok(f'mkdir -p {folder}; printf "[Service]\\n%s\\n" "{check}" >{folder}/theirs.conf')
    host.ok("systemctl daemon-reload")
    try:
        failed = apply(host, "tasks/docker.py")
    finally:
        host.ok(f"rm {folder}/theirs.conf; systemctl daemon-reload")
    assert failed.returncode == 6, failed.stderr
    assert "its configuration from before is back, and it runs with that" in failed.stderr
    assert theirs(host)
    assert host.ssh("test -e /var/lib/rocminfra/before/docker").returncode != 0


def test_the_hosts_own_log_options_stay_and_docker_serves_afterwards(host: LabHost) -> None:
    done = apply(host)
    assert done.returncode == 0, done.stderr
    document = json.loads(host.ok(f"cat {DAEMON_JSON}"))
    assert document == {
        **json.loads(CASE.read_text()),
        "data-root": "/mnt/models/docker",
        "features": {"containerd-snapshotter": False},
    }
    assert host.ok(SERVES).strip() == "/mnt/models/docker"
    assert host.ok(COMPLETION).strip() == "200"
    before = host.ok(STARTED_AT)
    again = rocminfra(host, "plan", "--exit-code")
    assert again.returncode == 0, again.stdout + again.stderr
    assert host.ok(STARTED_AT) == before
    assert host.ok("ls /var/lib/rocminfra/before") == "", "nothing is kept of what is proven"


def test_an_engine_of_ours_that_is_off_and_has_lost_its_question_is_ours(host: LabHost) -> None:
    host.ok("systemctl stop vllm.service; rm /etc/rocminfra/vllm.json", timeout_s=120)
    done = apply(host, "tasks/vllm.py")
    assert done.returncode == 0, done.stderr
    assert host.ok(COMPLETION).strip() == "200"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            # AMD's rocm/vllm: an image whose entrypoint is none.
            "tar -c -T /dev/null | docker import - other:v1",
            "does not begin with `vllm serve`",
        ),
        (
            "tar -c -T /dev/null | docker import "
            '--change \'ENTRYPOINT ["vllm", "serve"]\' - other:v1 && docker save other:v1 | '
            f"{FOR_ARM} | docker load",
            "is made for linux/arm64",
        ),
        (
            made_from_the_engines("true", 'ENTRYPOINT ["/opt/venv/bin/vllm", "serve"]'),
            "/opt/venv/bin/vllm: there is no such program in it",
        ),
        (
            # vLLM's own image without "-rocm" in its name.
            made_from_the_engines(
                "mkdir -p $d/torch; touch $d/torch/__init__.py; "
                'printf "cuda = \\"12.8\\"\\nhip = None\\n" >$d/torch/version.py',
                'ENTRYPOINT ["vllm", "serve"]',
            ),
            "its PyTorch is built for CUDA 12.8, not for ROCm",
        ),
    ],
    ids=["entrypoint", "architecture", "program", "CUDA"],
)
def test_an_image_that_cannot_serve_takes_no_engines_place(
    host: LabHost, make: str, words: str
) -> None:
    host.ok(make)
    before = host.ok(STARTED_AT)
    refused = apply(host, "tasks/vllm.py", "--data", "engine.image=other:v1")
    assert refused.returncode == 6, refused.stderr
    assert words in refused.stderr
    assert host.ok(STARTED_AT) == before
    assert host.ok(COMPLETION).strip() == "200"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('vllm.extra_args=["--swap-space=4"]', "unrecognized arguments: --swap-space=4"),
        ('engine.environment={"VLLM_ROCM_USE_ATIER": "1"}', "VLLM_ROCM_USE_ATIER"),
    ],
)
def test_what_the_images_own_parser_refuses_stops_no_engine(
    host: LabHost, change: str, words: str
) -> None:
    before = host.ok(STARTED_AT)
    refused = apply(host, "tasks/vllm.py", "--data", change)
    assert refused.returncode == 3, refused.stderr
    assert words in refused.stderr
    assert host.ok(STARTED_AT) == before
    assert host.ok(COMPLETION).strip() == "200"


def test_after_a_start_that_fails_the_engine_from_before_serves_again(host: LabHost) -> None:
    unit = "cat /etc/systemd/system/vllm.service /etc/rocminfra/vllm.env /etc/rocminfra/vllm.json"
    before, started_at = host.ok(unit), host.ok(STARTED_AT)
    others = ("--data", "engine.container_name=vllm-other", "--data", "vllm.port=8001")
    failed = apply(host, "tasks/vllm.py", *BROKEN, *others)
    assert failed.returncode == 7, failed.stderr
    assert "simulated failure at every start" in failed.stderr, "the new engine's last words"
    back = "the engine from before is back and serves Qwen/Qwen2-VL-72B-Instruct"
    assert back in failed.stderr
    assert failed.stderr.strip().splitlines()[-1].startswith("next: ")
    assert host.ok(COMPLETION).strip() == "200"
    assert host.ok(STARTED_AT) != started_at
    assert host.ok(unit) == before
    assert host.ok("docker ps --format '{{.Names}}'").split() == ["vllm-qwen2-vl-72b"]
    again = rocminfra(host, "plan", "--exit-code")
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_run_that_was_cut_off_still_finds_the_way_back(host: LabHost) -> None:
    """As a run that is killed after the restart leaves it: the files are new, nothing serves."""
    label = host.ok(
        "docker inspect -f '{{index .Config.Labels \"rocminfra.config\"}}' vllm-qwen2-vl-72b"
    ).strip()
    folder = "/var/lib/rocminfra/before/engine"
    host.ok(
        f"mkdir -p {folder} && cp -p /etc/systemd/system/vllm.service {folder}/0 && "
        f"cp -p /etc/rocminfra/vllm.env {folder}/1 && cp -p /etc/rocminfra/vllm.json {folder}/2"
    )
    note = host.ok("cat /etc/rocminfra/vllm.json")
    files = {
        "/etc/systemd/system/vllm.service": "0",
        "/etc/rocminfra/vllm.env": "1",
        "/etc/rocminfra/vllm.json": "2",
    }
    index = json.dumps({"label": label, "note": note, "files": files})
    host.ok(f"cat >{folder}/index.json <<'EOF'\n{index}\nEOF")
    host.ok("echo ROCMINFRA_SIM_FAIL=crash-loop >>/etc/rocminfra/vllm.env")
    host.ok(
        "sed -i 's/rocminfra.config=[0-9a-f]*/rocminfra.config=new/' "
        "/etc/systemd/system/vllm.service; systemctl daemon-reload; systemctl stop vllm"
    )
    failed = apply(host, "tasks/vllm.py", *BROKEN)
    assert failed.returncode == 7, failed.stderr
    assert "the engine from before is back" in failed.stderr
    assert host.ok(COMPLETION).strip() == "200"
    assert host.ssh(f"test -e {folder}").returncode != 0


# What must be the same afterwards: the daemon's process, containers, volumes, files, mounts.
THEIRS = (
    "systemctl show -p InvocationID --value docker.service containerd.service; "
    "docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; docker volume ls -q; "
    "docker inspect -f '{{.State.StartedAt}}' theirs; dpkg-query -W; "
    "sha256sum /etc/docker/daemon.json /etc/systemd/system/docker.service.d/*.conf /etc/fstab; "
    "cat /proc/mounts | grep /mnt/models | grep -v overlay; blkid -p -s UUID -o value /dev/vdc"
)


def test_a_removal_leaves_their_docker_its_containers_and_its_disk_alone(host: LabHost) -> None:
    image = host.ok("docker inspect -f '{{.Config.Image}}' vllm-qwen2-vl-72b").strip()
    host.ok(
        f"docker volume create theirs; docker run -d --name theirs --entrypoint sleep {image} 999"
    )
    host.ok("systemctl stop vllm.service", timeout_s=120)
    before = host.ok(THEIRS)
    host.ok("systemctl start vllm.service")
    done = rocminfra(host, "remove", "--yes")
    assert done.returncode == 0, done.stderr
    assert "stays: Docker, with its configuration (it was there before" in done.stdout
    assert host.ok(THEIRS) == before
    find = "find / -xdev -path /proc -prune -o -iname '*rocminfra*' -print"
    left = host.ok(f"{find} | grep -v -e /srv/ -e rocminfra-lab")
    assert sorted(left.split()) == [
        "/etc/systemd/system/docker.service.d/50-rocminfra-scratch.conf",
        "/usr/local/lib/rocminfra",
    ]
    assert host.ok("ls /usr/local/lib/rocminfra").split() == ["scratch_guard.py"]
    assert host.ssh("systemctl cat vllm.service").returncode != 0
    host.ok("systemctl restart docker.service", timeout_s=60)
    assert host.ok(SERVES).strip() == "/mnt/models/docker", "their Docker starts as it did"
    back = apply(host)
    assert back.returncode == 0, back.stderr
    assert host.ok(COMPLETION).strip() == "200"
