"""The load from another host, on real systems: what its key may do, and what is left of a run.

GuideLLM and the engine are stand-ins; `test_main_job.py` has the real ones.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench_droplets import (
    PLACE,
    ended,
    left,
    only_run,
    profiles,
    put,
    run_id,
    running,
    set_modes,
    wait_until,
)
from deploys import rocminfra
from lab_host import LabHost

from rocminfra.bench.results import verify

pytestmark = pytest.mark.lab

KEYS = "cat /root/.ssh/authorized_keys; stat -c '%y %a' /root/.ssh/authorized_keys /etc/passwd"
# Root's alone, and it tells whoever may open it.
SECRET = """
import os, socket
os.umask(0o077)
server = socket.socket(socket.AF_UNIX)
server.bind("/run/secret.sock")
server.listen()
while True:
    client, _ = server.accept()
    client.sendall(b"the secret")
    client.close()
"""
ASK = (
    "python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(5); "
    "s.connect(sys.argv[1]); print(s.recv(99))'"
)


@pytest.fixture
def pair(
    bench_hosts: tuple[LabHost, ...], bench_host: LabHost
) -> Iterator[tuple[LabHost, LabHost]]:
    """The engine's host and the load generator."""
    engine, load = bench_hosts
    set_modes(load)
    # The stand-in notes its calls where it stands, and runs as the run's user here.
    load.ok(f"rm -f {PLACE}/bin/calls {PLACE}/bin/go-on; chmod 0777 {PLACE}/bin")
    model = f"/mnt/models/models/{Path(engine.droplet.model).name}"
    put(engine, f"{model}/tokenizer.json", "{}")
    before = load.ok(KEYS)
    yield engine, load
    wait_until(lambda: left(engine) == left(load) == "")
    assert load.ok(KEYS).splitlines()[:-1] == before.splitlines()[:-1]


def test_what_the_key_of_a_run_can_do(
    pair: tuple[LabHost, LabHost], benchmark: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    engine, load = pair
    set_modes(load, synchronous="wait")
    put(load, "/root/secret.py", SECRET)
    load.ok("systemd-run --quiet --collect --unit=secret python3 /root/secret.py")
    process = benchmark(engine, load=load)
    wait_until(lambda: "synchronous" in profiles(load))
    assert profiles(engine) == []
    folder = engine.ok("ls -d /run/rocminfra-bench/*").strip()
    assert engine.ok(f"stat -c '%a %U' {folder} {folder}/key").split() == [
        *("700", "root"),
        *("600", "root"),
    ]
    told = engine.ok(f"cat {folder}/link.json")
    assert "BEGIN" not in told
    ssh = (
        f"ssh -F none -i {folder}/key -o IdentitiesOnly=yes -o BatchMode=yes "
        f"-o UserKnownHostsFile={folder}/known_hosts -o HostKeyAlias=load-generator "
        f"-o StrictHostKeyChecking=yes -o ExitOnForwardFailure=yes -o ConnectTimeout=10"
    )
    login = f"rocminfra-load@{load.address}"

    def refused(words: str, *said: str) -> None:
        done = engine.ssh(f"timeout 20 {words} </dev/null")
        text = done.stdout + done.stderr
        assert done.returncode not in (0, 124), text
        assert all(one in text for one in said), text

    refused(f"{ssh} {login} id", "does nothing else")
    refused(f"{ssh} -tt {login}", "PTY allocation request failed")
    refused(f"{ssh} {login} 'run; id'", "does nothing else")
    refused(f"{ssh} -W 127.0.0.1:22 {login}", "administratively prohibited")
    refused(f"{ssh} -R 127.0.0.1:40099:127.0.0.1:22 {login} check", "forwarding failed")
    refused(f"{ssh} -R 0.0.0.0:0:127.0.0.1:22 {login} check", "forwarding failed")
    refused(f"{ssh} -w any {login} check")
    refused(f"{ssh.replace('ssh ', 'sftp ', 1)} {login}")
    refused(ssh.replace("rocminfra-load@", "root@") + f" root@{load.address} true", "denied")
    assert "the secret" in load.ok(f"{ASK} /run/secret.sock")
    tunnel = f"{ssh} -N -L /run/stolen.sock:/run/secret.sock {login}"
    engine.ok(f"systemd-run --quiet --collect --unit=stolen {tunnel}")
    wait_until(lambda: engine.ssh("test -S /run/stolen.sock").returncode == 0)
    assert "the secret" not in engine.ssh(f"{ASK} /run/stolen.sock").stdout
    engine.ok("systemctl stop stolen; rm -f /run/stolen.sock")
    load.ok("systemctl stop secret; rm -f /run/secret.sock /root/secret.py")
    keys = load.ok("stat -c '%U %a' /run/rocminfra-load /run/rocminfra-load/.ssh/authorized_keys")
    assert keys.split() == ["root", "755", "root", "644"]

    # A thousand streams are a thousand files of the SSH client, of sshd and of GuideLLM.
    unit = engine.ok("systemctl list-units --plain --no-legend 'rocminfra-bench-*'").split()[0]
    limit = engine.ok(f"systemctl show --property=LimitNOFILESoft --value {unit}")
    assert limit.strip() == "65536"
    for name in ("'^sshd: rocminfra-load'", "'load_agent /run/rocminfra-load'"):
        pids = load.ok(f"pgrep --uid rocminfra-load --full {name}").split()
        limits = load.ok(f"grep 'open files' /proc/{pids[-1]}/limits").split()
        assert int(limits[3]) == int(limits[4]) > 1024, (name, limits)

    engine.ok(f"mkdir -m 700 /root/copy; cp {folder}/* /root/copy")
    status = rocminfra(engine, "bench", "status")
    assert "synchronous" in status.out, status.err
    load.ok(f"touch {PLACE}/bin/go-on")
    output = ended(process)
    assert process.returncode == 0, output
    assert f"load from {load.name} (SSH tunnel)" in output
    assert verify(only_run(tmp_path)) == ()
    wait_until(lambda: left(load) == "")
    refused(f"{ssh.replace(folder, '/root/copy')} {login} check", "denied")
    engine.ok("rm -r /root/copy")


def test_a_connection_that_is_cut_fails_one_point_and_the_run_goes_on(
    pair: tuple[LabHost, LabHost], benchmark: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    engine, load = pair
    set_modes(load, synchronous="wait")
    process = benchmark(engine, load=load)
    wait_until(lambda: "synchronous" in profiles(load))
    load.ok("pkill --full '^sshd: rocminfra-load'")
    output = ended(process)
    assert process.returncode == 1
    lost = f"the connection to the load generator {load.name} was lost"
    assert "2/3 synchronous: failed" in output
    assert lost in output
    assert profiles(load) == ["concurrent", "synchronous", "throughput"]
    folder = only_run(tmp_path)
    wait_until(lambda: left(load) == "")

    set_modes(load)
    again = benchmark(engine, run=folder.name, load=load)
    output = ended(again)
    assert again.returncode == 0, output
    assert profiles(load) == ["concurrent", "synchronous", "throughput", "synchronous"]
    assert verify(folder) == ()


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_run_that_ends_early_leaves_nothing_on_the_load_generator(
    pair: tuple[LabHost, LabHost],
    benchmark: Callable[..., subprocess.Popen[str]],
    end: str,
) -> None:
    engine, load = pair
    set_modes(load, synchronous="hang")
    process = benchmark(engine, load=load)
    wait_until(lambda: "synchronous" in profiles(load))
    if end == "stopped":
        assert rocminfra(engine, "bench", "stop").code == 0
    else:
        engine.ok("systemctl kill --signal=KILL 'rocminfra-bench-*.service'")
    output = ended(process)
    assert process.returncode == 1, output
    wait_until(lambda: left(engine) == left(load) == "")
    assert running(load) == running(engine) == []


def test_a_load_generator_that_goes_down_fails_its_points(
    pair: tuple[LabHost, LabHost], benchmark: Callable[..., subprocess.Popen[str]]
) -> None:
    engine, load = pair
    set_modes(load, synchronous="wait")
    process = benchmark(engine, load=load)
    wait_until(lambda: "synchronous" in profiles(load))
    # As at its time limit, or when somebody stops it by hand.
    load.ok("systemctl stop rocminfra-load")
    assert left(load) == ""
    output = ended(process)
    assert process.returncode == 1
    assert "2/3 synchronous: failed" in output
    assert "3/3 throughput: failed" in output
    assert run_id(output) in output


def test_a_load_generator_that_is_not_there_is_refused(pair: tuple[LabHost, LabHost]) -> None:
    engine, load = pair
    wrong = rocminfra(engine, "bench", "--data", f"bench.load_generator={load.name}x")
    assert wrong.code == 3
    assert f"the inventory has no host '{load.name}x'" in wrong.err
    assert f"did you mean {load.name}?" in wrong.err
    address = ("--data", "bench.load_generator_address=127.0.0.1")
    unreached = rocminfra(engine, "bench", "--data", f"bench.load_generator={load.name}", *address)
    assert unreached.code == 4, unreached.err
    assert "does not reach the load generator" in unreached.err
    assert "Host key verification failed" in unreached.err, "another host's key is not taken"
    last = unreached.err.strip().splitlines()[-1]
    assert last.startswith("next: set bench.load_generator_address")


def test_a_hard_reset_leaves_only_what_the_next_run_and_remove_know(
    pair: tuple[LabHost, LabHost], benchmark: Callable[..., subprocess.Popen[str]]
) -> None:
    engine, load = pair
    user = "useradd --system --no-create-home --home-dir /run/rocminfra-load rocminfra-load"
    load.ok(f"{user}; mkdir -p /var/lib/rocminfra/load/earlier; date >/var/lib/rocminfra/load/x")
    load.ok("chmod 700 /var/lib/rocminfra")
    set_modes(load, synchronous="wait")
    process = benchmark(engine, load=load)
    wait_until(lambda: "synchronous" in profiles(load))
    assert load.ssh("ls /var/lib/rocminfra/load/earlier /var/lib/rocminfra/load/x").returncode == 2
    removal = rocminfra(load, "remove", "--plan")
    assert removal.code == 9
    assert "rocminfra-load.service" in removal.err
    load.ok(f"touch {PLACE}/bin/go-on")
    output = ended(process)
    assert process.returncode == 0, output
    wait_until(lambda: left(load) == "")
    load.ok(user)
    removal = rocminfra(load, "remove", "--plan")
    assert removal.code == 0, removal.err
    assert "remove the user rocminfra-load" in removal.out + removal.err
    load.ok("userdel rocminfra-load")


def refusal(engine: LabHost, load: LabHost, code: int, *words: str) -> str:
    """What `bench` says when it refuses the load generator, and leaves nothing."""
    done = rocminfra(engine, "bench", *words, "--data", f"bench.load_generator={load.name}")
    assert done.code == code, done.err
    assert engine.ssh("ls -d /run/rocminfra-bench").returncode != 0
    assert profiles(load) == []
    return done.err


def test_a_file_that_only_root_reads_is_refused(
    pair: tuple[LabHost, LabHost], tmp_path: Path
) -> None:
    engine, load = pair
    put(load, "/root/prompts.jsonl", '{"prompt": "hello"}\n')
    scenario = tmp_path / "file.yaml"
    scenario.write_text(
        "description: a file of root\n"
        "data: {kind: json_file, path: /root/prompts.jsonl}\n"
        "stages:\n  - {profile: synchronous}\n"
        "max_seconds: 3\n"
    )
    said = refusal(engine, load, 4, "--scenario", str(scenario))
    assert f"{load.name} cannot send the load as its user rocminfra-load" in said
    assert "/root/prompts.jsonl cannot be read by rocminfra-load" in said
    load.ok("rm /root/prompts.jsonl")


@pytest.mark.parametrize("kind", ["simple", "notify"])
def test_another_engines_load_goes_on(pair: tuple[LabHost, LabHost], kind: str) -> None:
    engine, load = pair
    # Of type notify it is activating for good, as one that still compiles GuideLLM.
    load.ok(
        "systemd-run --quiet --collect --no-block --unit=rocminfra-load "
        f"--description='20260513T090000Z-000001 other' --service-type={kind} sleep 600"
    )
    try:
        said = refusal(engine, load, 9)
        assert f"{load.name} sends the load of benchmark 20260513T090000Z-000001 for other" in said
        state = load.ok("systemctl show --property=ActiveState --value rocminfra-load").strip()
        assert state == ("active" if kind == "simple" else "activating")
    finally:
        load.ok("systemctl stop rocminfra-load")


def test_a_tunnel_that_sshd_would_publish_is_never_opened(pair: tuple[LabHost, LabHost]) -> None:
    engine, load = pair
    before = load.ok("cat /etc/ssh/sshd_config")
    put(load, "/etc/ssh/sshd_config", f"GatewayPorts yes\n{before}")
    try:
        said = refusal(engine, load, 4)
        assert f"sshd on {load.name} has GatewayPorts yes" in said
        remedy = said.split(f"on {load.name}: ")[1].rpartition("; then")[0]
        load.ok(remedy)
        # It closes its port for a moment.
        wait_until(lambda: load.ssh("true").returncode == 0)
        ports = "/usr/sbin/sshd -T -C user={},host=x,addr=1.1.1.1,laddr=1.1.1.1,lport=22"
        assert "gatewayports no" in load.ok(ports.format("rocminfra-load"))
        assert "gatewayports yes" in load.ok(ports.format("root"))
    finally:
        put(load, "/etc/ssh/sshd_config", before)
        load.ok("systemctl reload ssh")
        wait_until(lambda: load.ssh("true").returncode == 0)
