"""GuideLLM on another host: the engine's side and the load generator's, without SSH between them.

``ssh`` is a program here that starts what sshd would start. What sshd itself makes of the key is
tested on practice droplets.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import FakeEngine, calls, is_gone, job, scenario, set_modes

from rocminfra.host.bench import (
    load_agent,
    load_connection,
    load_frames,
    load_host,
    load_launcher,
    load_link,
)
from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.host.bench.load_launcher import Elsewhere
from rocminfra.host.bench.point import run_point
from rocminfra.planning.bench.job_record import JobRecord, LoadRecord
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.retry import Patience

ROOT = Path(__file__).parents[4]
POINT = Point("01-concurrent-2", "concurrent", streams=2)
SSH = """#!/bin/sh
# The last word is what is asked for; the client's own process is its connection.
for word; do verb=$word; done
echo "$*" >>{folder}/asked
test ! -e {folder}/unreachable || {{ echo 'Connection refused' >&2; exit 255; }}
export SSH_ORIGINAL_COMMAND="$verb" PYTHONPATH={root}
exec {python} -m rocminfra.host.bench.load_agent {folder}/home
"""


@pytest.fixture
def far_job(
    tmp_path: Path, engine: FakeEngine, program: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[JobRecord]:
    """A job whose load comes from another host, which is let in."""
    home, work, link = tmp_path / "home", tmp_path / "work", tmp_path / "link"
    for folder in (home, work, link, tmp_path / "bin", tmp_path / "model"):
        folder.mkdir()
    text = SSH.format(folder=tmp_path, root=ROOT, python=sys.executable)
    (tmp_path / "bin" / "ssh").write_text(text)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(load_connection, "_TRIES", 1)
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    # What the other side would not take, and nobody counts tokens with.
    (tmp_path / "model" / "a photo (1).png").write_text("")
    (tmp_path / "model" / "model.safetensors").write_text("weights")
    config = {
        "run": "20260513T101500Z",
        "user": "rocminfra-load",
        "python": str(program),
        "work": str(work),
        "target": f"http://127.0.0.1:{engine.port}/v1",
    }
    (home / load_host.CONFIG).write_text(json.dumps(config))
    told = {name: config[name] for name in ("user", "work", "target")}
    way = {"address": "203.0.113.20", "ssh_port": 2222, "port": 40001, "engine": "127.0.0.1:8000"}
    (link / load_connection.LINK).write_text(json.dumps({**told, **way}))
    made = job(tmp_path, program, engine, scenario([{"profile": "concurrent", "streams": [2]}]))
    load = LoadRecord("loader", "SSH tunnel", str(link))
    yield replace(made.record, load_generator=load, tokenizer=str(tmp_path / "model"))
    for call in calls(program):
        assert is_gone(call["pid"])


def measure(record: JobRecord, tmp_path: Path) -> PointRecord:
    folder = tmp_path / POINT.name
    folder.mkdir()
    assert record.load_generator is not None
    launcher = Elsewhere(record.load_generator)
    patience = Patience(silence_s=1.0, idle_s=1.0, settle_s=0.1, look_s=0.05)
    return run_point(record, POINT, folder, launcher, patience=patience)


def test_a_point_is_measured_there_and_everything_comes_back(
    far_job: JobRecord, tmp_path: Path, program: Path
) -> None:
    set_modes(program, concurrent="with a worker")
    record = measure(far_job, tmp_path)
    assert record.outcome == "valid", record.reasons
    folder = tmp_path / POINT.name
    assert json.loads((folder / "report.json").read_text())["metadata"]["version"] == 2
    assert (folder / "report.html").read_text() == "<html></html>"
    (call,) = calls(program)
    assert call["cwd"] == str(tmp_path / "work" / "point")
    assert is_gone(int((program.parent / "worker").read_text())), "a worker outlived its point"
    spec = json.loads((folder / "guidellm.json").read_text())["spec"]
    assert spec["tokenizer"]["model"] == str(tmp_path / "work" / "tokenizer")
    assert [path.name for path in (tmp_path / "work" / "tokenizer").iterdir()] == ["tokenizer.json"]
    (attempt,) = record.attempts
    assert attempt.load_generator is not None
    clock = attempt.load_generator["clock"]
    assert abs(clock["offset_s"]) <= clock["uncertainty_s"] + 0.001, "both have the same clock"
    assert clock["furthest_s"] < 0.001
    assert attempt.load_generator["cores"] == os.cpu_count()


def test_a_proxy_is_not_the_way_to_the_engine(
    far_job: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert load_link.check(tmp_path / "link")["problem"] is None


def told(tmp_path: Path, **changes: object) -> dict[str, Any]:
    """What the check says of a link that asks for this."""
    path = tmp_path / "link" / load_connection.LINK
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return load_link.check(tmp_path / "link")


def test_another_engine_at_the_target_is_not_the_one_to_measure(
    far_job: JobRecord, tmp_path: Path
) -> None:
    assert told(tmp_path, model=far_job.model)["problem"] is None
    found = told(tmp_path, model="another")
    assert found["about"] == "engine"
    assert found["problem"].endswith(f"serves {far_job.model}, not another")


def test_files_that_the_runs_user_cannot_read_are_named(far_job: JobRecord, tmp_path: Path) -> None:
    path = str(tmp_path / "prompts.jsonl")
    found = told(tmp_path, files=[str(tmp_path), path])
    assert found["about"] == "files"
    assert found["problem"] == f"{path} cannot be read by rocminfra-load"
    Path(path).touch()
    assert told(tmp_path)["problem"] is None


@pytest.mark.parametrize(
    ("family", "address", "said"),
    [
        (socket.AF_INET, "127.0.0.1", None),
        (socket.AF_INET6, "::1", None),
        (socket.AF_INET, "0.0.0.0", "sshd listens at 0.0.0.0 port {}"),
        (socket.AF_INET6, "::", "sshd listens at :: port {}"),
    ],
)
def test_a_tunnel_that_is_published_is_seen(
    far_job: JobRecord, tmp_path: Path, family: socket.AddressFamily, address: str, said: str | None
) -> None:
    with socket.socket(family) as tunnel:
        tunnel.bind((address, 0))
        tunnel.listen()
        port = tunnel.getsockname()[1]
        path = tmp_path / "home" / load_host.CONFIG
        path.write_text(json.dumps({**json.loads(path.read_text()), "port": port}))
        found = load_link.check(tmp_path / "link")
        assert found["problem"] == (said and said.format(port))
        assert found["about"] == (said and "tunnel")


def test_what_the_client_says_is_bounded_and_plain(far_job: JobRecord, tmp_path: Path) -> None:
    said = "head -c 3000000 /dev/zero | tr '\\0' x; printf '\\n\\033]0;owned\\007denied\\n'"
    (tmp_path / "bin" / "ssh").write_text(f"#!/bin/sh\n({said}) >&2; exit 255\n")
    found = load_link.check(tmp_path / "link")
    assert not found["connected"]
    assert found["problem"].endswith("x | denied")
    assert len(found["problem"]) < 2100


def test_a_log_without_end_fails_its_point(
    far_job: JobRecord, tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_launcher, "MOST_LOG", 3)
    set_modes(program, concurrent="served, then hangs")
    record = measure(far_job, tmp_path)
    assert record.outcome == "failed"
    assert record.reasons[0].startswith("the connection to the load generator loader was lost")
    assert "has more than 3 bytes" in record.reasons[0]


def test_a_process_may_open_as_many_files_as_it_is_allowed_to() -> None:
    program = ["sh", "-c", "ulimit -Sn 100; exec sleep 60"]
    with subprocess.Popen(program) as process:
        try:
            deadline = time.monotonic() + 10
            while resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] != 100:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            load_agent.allow_files(process.pid)
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            assert soft == hard > 1024
        finally:
            process.kill()


def test_the_ssh_client_pins_the_host_key_and_opens_one_tunnel_only_for_the_load(
    far_job: JobRecord, tmp_path: Path
) -> None:
    assert measure(far_job, tmp_path).outcome == "valid"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[-1] for line in asked] == ["prepare", "run"]
    for line in asked:
        assert f"-o UserKnownHostsFile={tmp_path}/link/known_hosts" in line
        assert "-o StrictHostKeyChecking=yes" in line
        assert "-o GlobalKnownHostsFile=none" in line
        assert "-p 2222" in line
    assert "-R" not in asked[0].split()
    assert "-R 127.0.0.1:40001:127.0.0.1:8000" in asked[1]


def test_one_that_hangs_is_ended_there_and_repeated(
    far_job: JobRecord, tmp_path: Path, program: Path, engine: FakeEngine
) -> None:
    engine.is_quiet = True
    set_modes(program, concurrent="served, then hangs once")
    record = measure(far_job, tmp_path)
    assert [one.verdict for one in record.attempts] == ["hung", "ended"], record.reasons
    assert record.attempts[0].stacks == "stacks.txt"
    stacks = tmp_path / POINT.name / "attempt-1" / "stacks.txt"
    assert "Current thread" in stacks.read_text()


def test_a_connection_that_breaks_fails_the_point_and_says_so(
    far_job: JobRecord, tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_modes(program, concurrent="slow")
    start = Elsewhere.start

    def started(*arguments: object) -> object:
        running = start(*arguments)  # type: ignore[arg-type]
        deadline = time.monotonic() + 30
        while not calls(program) and time.monotonic() < deadline:
            time.sleep(0.05)
        # The agent is the client here: its end is the end of the connection.
        os.kill(running.pid, 15)
        return running

    monkeypatch.setattr(Elsewhere, "start", started)
    record = measure(far_job, tmp_path)
    assert record.outcome == "failed"
    assert record.reasons[0].startswith("the connection to the load generator loader was lost")
    assert not is_gone(calls(program)[0]["pid"]), "an agent that was killed ends nothing"
    assert load_link.check(tmp_path / "link")["problem"] is None
    assert not is_gone(calls(program)[0]["pid"]), "a look may not end the load of a run"
    # The next one that measures does.
    (tmp_path / "link" / load_link.PREPARED).unlink()
    assert load_link.prepare(far_job) is None


def test_an_unreachable_load_generator_fails_the_point(
    far_job: JobRecord, tmp_path: Path, program: Path
) -> None:
    (tmp_path / "unreachable").touch()
    record = measure(far_job, tmp_path)
    assert record.outcome == "failed"
    assert record.reasons == (
        "the load generator loader could not be prepared: Connection refused",
    )
    assert calls(program) == []
    (tmp_path / "unreachable").unlink()


def test_a_silent_engine_host_is_noticed_by_the_agent(
    far_job: JobRecord, tmp_path: Path, program: Path
) -> None:
    set_modes(program, concurrent="slow")
    code = (
        "import sys; from rocminfra.host.bench import load_agent as a; a.SILENT_S = 1.0; "
        f"sys.exit(a.main([{str(tmp_path / 'home')!r}]))"
    )
    # A shell stands for sshd, whose end frees the port of the tunnel.
    process = subprocess.Popen(
        ["sh", "-c", f'{sys.executable} -c "$CODE"; exit $?'],
        env={**os.environ, "CODE": code, "SSH_ORIGINAL_COMMAND": "run", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    spec = {"spec": {"profile": {"kind": "concurrent"}, "seed": {"value": 1}}}
    body = json.dumps(spec).encode()
    load_frames.write(process.stdin, {"file": "guidellm.json", "at": 0, "last": True}, body)
    load_frames.write(process.stdin, {"order": {}})
    assert process.wait(30) == -15, "what stands for sshd is ended, too"
    process.stdin.close()
    (call,) = calls(program)
    assert is_gone(call["pid"])


def test_the_agent_does_nothing_else(far_job: JobRecord, tmp_path: Path) -> None:
    for verb in ("", "run; sh", "internal-sftp", "prepare ../.."):
        done = subprocess.run(
            [sys.executable, "-m", "rocminfra.host.bench.load_agent", str(tmp_path / "home")],
            env={**os.environ, "SSH_ORIGINAL_COMMAND": verb, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 64, verb
        assert "does nothing else" in done.stderr


def test_the_end_is_told_and_the_key_removed(far_job: JobRecord, tmp_path: Path) -> None:
    link = tmp_path / "link"
    (link / "key").write_text("secret")
    load_link.end(link)
    assert not link.exists()
    assert (tmp_path / "work" / load_host.ENDED).exists()


def test_the_key_is_removed_even_when_nobody_can_be_told(
    far_job: JobRecord, tmp_path: Path
) -> None:
    (tmp_path / "unreachable").touch()
    load_link.end(tmp_path / "link")
    assert not (tmp_path / "link").exists()
    load_link.end(tmp_path / "link")
    (tmp_path / "unreachable").unlink()


def test_a_point_beside_the_engine_sees_the_engine_itself(
    tmp_path: Path, engine: FakeEngine, program: Path
) -> None:
    wanted = scenario([{"profile": "concurrent", "streams": [2]}])
    record = job(tmp_path, program, engine, wanted).record
    seen = load_link.seen(record)
    assert (seen.target, seen.tokenizer) == (record.target, record.tokenizer)
    folder = tmp_path / POINT.name
    folder.mkdir()
    made = run_point(record, POINT, folder, ProcessGroups(grace_s=0.2))
    assert made.attempts[0].load_generator is None


def test_what_the_key_may_do(monkeypatch: pytest.MonkeyPatch) -> None:
    request = {
        "run": "20260513T101500Z-3fa9c1",
        "public_key": "ssh-ed25519 AAAAC3Nz a comment",
        "seconds": 3600,
        "programs": "/usr/local/lib/rocminfra/bench",
        "home": "/run/rocminfra-load",
    }
    monkeypatch.setattr(load_host.time, "localtime", time.gmtime)
    line = load_host.key_line(request, 40001, 1_778_667_300.0)
    assert line == (
        'restrict,port-forwarding,permitlisten="127.0.0.1:40001",permitopen="none.invalid:1",'
        'command="exec env PYTHONPATH=/usr/local/lib/rocminfra/bench python3 -m '
        'rocminfra.host.bench.load_agent /run/rocminfra-load",expiry-time="20260513111500" '
        "ssh-ed25519 AAAAC3Nz rocminfra-20260513T101500Z-3fa9c1\n"
    )
    private = load_host.key_line(request, None, 1_778_667_300.0)
    assert private.startswith('restrict,command="')
    assert "forwarding" not in private


def test_clocks_are_compared_by_the_quickest_answer() -> None:
    clock = load_connection.Clock()
    assert clock.record is None
    clock.note(theirs=103.0, received=101.0, took=1.0)
    clock.note(theirs=202.05, received=200.1, took=0.1)
    assert clock.record == {
        "offset_s": 2.0,
        "uncertainty_s": 0.05,
        "furthest_s": 2.0,
        "samples": 2,
    }


def test_a_clock_that_is_set_while_an_answer_is_on_its_way() -> None:
    clock = load_connection.Clock()
    # Asked at 100.0; then this host's clock went back by ten seconds.
    clock.note(theirs=100.1, received=90.2, took=0.2)
    assert clock.record == {
        "offset_s": 10.0,
        "uncertainty_s": 0.1,
        "furthest_s": 9.9,
        "samples": 1,
    }
