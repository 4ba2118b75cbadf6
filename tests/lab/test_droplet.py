"""The practice droplet: like a real one where it matters, and of no effect on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import lab_host
import pytest
from lab_host import LabHost

from rocminfra.facts.gpu_memory import Gpus
from rocminfra.failure import ExitCode, FailedError
from rocminfra.host.installed import preflight
from rocminfra.host_answers import answer
from rocminfra.lab import container, droplets, hosts, logs, machine, network, processes
from rocminfra.lab.droplets import Wanted

pytestmark = pytest.mark.lab

MakeDroplets = Callable[..., tuple[LabHost, ...]]


def test_the_system_is_booted_and_nothing_failed(droplet: LabHost) -> None:
    assert droplet.ok("systemctl is-system-running --wait").strip() == "running"
    assert droplet.ok("hostname").strip() == droplet.name


def test_root_and_the_sudo_user_log_in(droplet: LabHost) -> None:
    assert droplet.ok("id -un").strip() == "root"
    assert droplet.ok("id -un; sudo -n id -un", user="ops").split() == ["ops", "root"]


def test_sixteen_logins_at_once_all_succeed(droplet: LabHost) -> None:
    command = [*lab_host.keys.ssh_command(lab_host.PATHS, droplet.droplet), "true"]
    logins = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(16)]
    assert [login.wait(timeout=60) for login in logins] == [0] * 16


def test_the_disk_is_the_only_one_to_be_seen(droplet: LabHost) -> None:
    listed = json.loads(droplet.ok("lsblk --json --bytes --output NAME,TYPE,SIZE,MOUNTPOINTS"))
    assert listed["blockdevices"] == [
        {"name": "vdc", "type": "disk", "size": 5120 * 1024**3, "mountpoints": [None]}
    ]
    assert droplet.ok("ls /sys/block /sys/class/block").split() == [
        "/sys/block:",
        "vdc",
        "/sys/class/block:",
        "vdc",
    ]
    assert droplet.ok("awk 'NR > 2 {print $4}' /proc/partitions").split() == ["vdc"]
    assert droplet.ok("tail -n +2 /proc/swaps") == ""


def test_the_disk_is_blank_and_takes_almost_no_space(droplet: LabHost) -> None:
    assert droplet.ssh("blkid --probe /dev/vdc").returncode == 2
    assert droplet.ok("wipefs --no-act /dev/vdc") == ""
    assert (droplet.folder / "scratch.img").stat().st_blocks * 512 < 2**20


def test_gpu_nodes_have_a_real_hosts_owners_and_modes(droplet: LabHost) -> None:
    nodes = "/dev/kfd /dev/dri/card0 /dev/dri/renderD128"
    assert droplet.ok(f"stat --format '%n %F %G %g %a' {nodes}").splitlines() == [
        "/dev/kfd character special file render 992 660",
        "/dev/dri/card0 character special file video 44 660",
        "/dev/dri/renderD128 character special file render 992 660",
    ]


def test_amd_smi_fills_its_memory_while_something_serves(droplet: LabHost) -> None:
    metric = "/opt/rocm/bin/amd-smi metric --mem-usage --json"
    idle = preflight.vram_percent(json.loads(droplet.ok(metric)))
    serve = "systemd-run --quiet --unit serving python3 -m http.server 8000 --bind 127.0.0.1"
    droplet.ok(f"{serve}; timeout 20 sh -c 'until ss -Hltn | grep -q :8000; do sleep 0.1; done'")
    try:
        busy = preflight.vram_percent(json.loads(droplet.ok(metric)))
    finally:
        droplet.ok("systemctl stop serving")
    assert idle is not None
    assert busy is not None
    assert idle < 1 < 90 < busy


def test_the_drivers_memory_is_the_one_that_amd_smi_tells(droplet: LabHost) -> None:
    driver = "".join(answer(droplet.ok(Gpus().command()).splitlines()) or [])
    metric = "/opt/rocm/bin/amd-smi metric --mem-usage --json"
    run = {"rc": 0, "out": droplet.ok(metric), "err": ""}
    amd_smi = json.dumps({**json.loads(driver), "amd_smi": run})
    reports = [Gpus().process([text]) for text in (driver, amd_smi)]
    assert [report.amd_smi_mib for report in reports] == [None, (196_288,)]
    assert [report.memory_mib for report in reports] == [(196_288,), (196_288,)]


def test_rocm_6_prints_the_older_shape(droplet: LabHost) -> None:
    text = droplet.ok("AMD_SMI_ROCM=6 /opt/rocm/bin/amd-smi static --json")
    assert isinstance(json.loads(text), list)


def test_sysctl_changes_the_droplet_and_not_this_machine(droplet: LabHost) -> None:
    here = Path("/proc/sys/net/core/somaxconn").read_text()
    droplet.ok("sysctl -w net.core.somaxconn=777")
    assert Path("/proc/sys/net/core/somaxconn").read_text() == here
    knob = Path("/proc/sys/kernel/numa_balancing")
    if knob.exists():
        before = knob.read_text()
        changed = "1" if droplet.ok(f"cat {knob}").strip() == "0" else "0"
        droplet.ok(f"sysctl -w kernel.numa_balancing={changed}")
        assert droplet.ok(f"cat {knob}").strip() == changed
        assert knob.read_text() == before
    assert droplet.ssh("sysctl -w vm.swappiness=1").returncode != 0


def test_pip_inside_has_this_machines_settings_and_works(droplet: LabHost) -> None:
    listed = droplet.ok("python3 -m venv /tmp/v && /tmp/v/bin/pip config list")
    inside = machine.parse_pip_settings(listed)
    outside = machine.pip_settings()
    assert {key: value.split() for key, value in inside.items()} == {
        key: value.split() for key, value in outside.items()
    }
    droplet.ok("/tmp/v/bin/pip download --quiet --no-deps --dest /tmp/x click")
    droplet.ok("rm -r /tmp/v /tmp/x")


def test_the_engine_image_is_there_and_cannot_be_changed(droplet: LabHost) -> None:
    assert droplet.ok("tar --list --file /srv/rocminfra/engine-image.tar | grep manifest.json")
    assert droplet.ssh("touch /srv/rocminfra/x").returncode != 0


def test_inventory_lists_what_is_up(droplet: LabHost, lab_pair: tuple[LabHost, LabHost]) -> None:
    listed = dict(hosts.hosts())
    for host in (droplet, *lab_pair):
        assert listed[host.name]["ssh_hostname"] == host.address
        assert Path(listed[host.name]["ssh_known_hosts_file"]).is_file()
    assert Path(listed[droplet.name]["model"]["source"], "config.json").is_file()


def test_droplets_have_the_same_ports_side_by_side(lab_pair: tuple[LabHost, LabHost]) -> None:
    for host in lab_pair:
        host.ok(
            f"mkdir -p /tmp/{host.name} && cd /tmp/{host.name} && echo {host.name} >who &&"
            " systemd-run --quiet --unit who --working-directory=$PWD python3 -m http.server 8000"
        )
    for host in lab_pair:
        assert processes.wait_until(lambda host=host: _listens(host.address, 8000), 20)
        assert _get(host.address, "/who") == host.name
        host.ok("systemctl stop who")


def test_logs_show_why_a_unit_failed(droplet: LabHost) -> None:
    droplet.ok(
        "systemd-run --quiet --unit broken sh -c 'echo this is the reason; exit 1';"
        " timeout 20 sh -c 'until systemctl --quiet is-failed broken; do sleep 0.1; done'"
    )
    try:
        text = "\n".join(logs.collect(lab_host.PATHS, droplet.name))
    finally:
        droplet.ok("systemctl reset-failed broken")
    assert "broken.service" in text
    assert "this is the reason" in text


def test_droplets_share_no_disk_and_no_host_key(lab_pair: tuple[LabHost, LabHost]) -> None:
    first, second = lab_pair
    assert first.ok("cat /sys/block/vdc/dev") != second.ok("cat /sys/block/vdc/dev")
    key = "cat /etc/ssh/ssh_host_ed25519_key.pub"
    assert first.ok(key).split()[1] != second.ok(key).split()[1]
    assert first.ok("cat /etc/machine-id") != second.ok("cat /etc/machine-id")


def test_a_partition_is_seen_and_the_disk_made_blank_again(new_droplets: MakeDroplets) -> None:
    (host,) = new_droplets()
    host.ok(
        "printf 'label: gpt\\n,100M\\n,\\n' | sfdisk --quiet /dev/vdc;"
        " /usr/local/lib/rocminfra-lab/devices.sh && mkfs.xfs -q /dev/vdc2 && mount /dev/vdc2 /mnt"
    )
    assert "vdc2" in host.ok("lsblk --list --noheadings --output NAME").split()
    number = host.ok("cat /sys/block/vdc/dev")
    droplets.reset_disk(lab_host.PATHS, host.name, lambda _line: None)
    assert host.ok("lsblk --list --noheadings --output NAME").split() == ["vdc"]
    assert host.ok("cat /sys/block/vdc/dev") == number
    assert host.ssh("blkid --probe /dev/vdc").returncode == 2
    assert host.ok("ls /dev/vdc*").split() == ["/dev/vdc"]


def test_docker_of_the_distribution_runs_on_the_scratch_disk(new_droplets: MakeDroplets) -> None:
    (host,) = new_droplets()
    host.ok(
        "mkfs.xfs -q /dev/vdc && mkdir -p /mnt/models /etc/docker && mount /dev/vdc /mnt/models"
    )
    host.ok("""echo '{"data-root": "/mnt/models/docker"}' >/etc/docker/daemon.json""")
    host.ok("apt-get update -qq && apt-get install -y -qq docker.io", timeout_s=600)
    assert "overlay2 xfs" in host.ok(
        "docker info --format '{{.Driver}} {{(index .DriverStatus 0)}}' | tr -d '[]' |"
        " sed 's/Backing Filesystem //'"
    )
    host.ok("docker load --input /srv/rocminfra/engine-image.tar")
    run = (
        "docker run --rm --init --network host --ipc host --device /dev/kfd --device /dev/dri"
        " --group-add 992 --group-add 44 --entrypoint python3 vllm/vllm-openai-rocm:v0.20.1 -c"
        ' \'import os, socket; print(os.getgroups(), sorted(os.listdir("/dev/dri")),'
        " socket.gethostname())'"
    )
    assert host.ok(run).strip() == f"[0, 44, 992] ['card0', 'renderD128'] {host.name}"


def test_everything_goes_away_with_a_droplet(new_droplets: MakeDroplets) -> None:
    (host,) = new_droplets()
    before = lab_host.left(host.name)
    for kind in ("process", "network namespace", "loop device", "folder"):
        assert any(line.startswith(kind) for line in before), kind
    host.ok("mkfs.xfs -q /dev/vdc && mount /dev/vdc /mnt && systemd-run --quiet sleep 9999")
    lab_host.down(host.name)
    assert lab_host.left(host.name) == ()
    assert host.droplet.interface not in network.interfaces()
    assert not container.answers(host.address)


def test_this_machines_own_network_stays_as_it_is(new_droplets: MakeDroplets) -> None:
    before = _own_network()
    (host,) = new_droplets()
    assert _own_network() == before
    lab_host.down(host.name)
    assert _own_network() == before


def test_this_machines_kernel_gets_no_device_but_loops(new_droplets: MakeDroplets) -> None:
    def devices() -> set[str]:
        return {name for name in os.listdir("/sys/block") if not name.startswith("loop")}

    before = devices()
    new_droplets()
    assert devices() == before


def test_a_name_that_is_up_is_refused(droplet: LabHost) -> None:
    with pytest.raises(FailedError, match="is up already") as caught:
        droplets.up(lab_host.PATHS, [droplet.name], Wanted(), lambda _line: None)
    assert caught.value.failure.kind == ExitCode.LOCKED
    assert droplet.ok("true") == ""


def test_a_droplet_whose_system_was_killed_is_known_and_removed(
    new_droplets: MakeDroplets, droplet: LabHost
) -> None:
    (host,) = new_droplets()
    for process in processes.of_droplets(lab_host.PATHS):
        if process.droplet == host.name and process.program == "systemd-nspawn":
            os.kill(process.pid, signal.SIGKILL)
    assert processes.wait_until(lambda: host.name not in processes.running(lab_host.PATHS), 10)
    with pytest.raises(FailedError, match="left over from a run that was killed") as caught:
        droplets.up(lab_host.PATHS, [host.name], Wanted(), lambda _line: None)
    assert caught.value.failure.kind == ExitCode.UNFIT
    assert any(host.name in line for line in lab_host.clean(host.name))
    assert lab_host.left(host.name) == ()
    assert droplet.ok("true") == ""  # cleaning spares the living


def _own_network() -> dict[str, str]:
    """Forwarding, routes and packet filters of this machine, without the lab's own wires."""
    routes = subprocess.run(
        ["ip", "route", "show", "table", "all"], check=True, capture_output=True, text=True
    ).stdout
    found = {
        "routes": "\n".join(line for line in routes.splitlines() if " dev rmlab" not in line),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }
    for tables in ("ip_tables_names", "ip6_tables_names"):
        file = Path("/proc/net", tables)
        found[tables] = file.read_text() if file.exists() else ""
    return found


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _get(address: str, path: str) -> str:
    with socket.create_connection((address, 8000), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        text = b""
        while part := connection.recv(65536):
            text += part
    return text.decode().rpartition("\r\n\r\n")[2].strip()
