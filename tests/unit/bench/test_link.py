"""Letting the engine's host use a load generator: what goes where, what a failure leaves."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager

import pytest
from bench_fakes import scenario
from failing import next_of, said

from rocminfra.bench.job import Job, make_job
from rocminfra.bench.link import LoadGenerator, open_link
from rocminfra.bench.remote import Answer, Readable
from rocminfra.failure import FailedError, Fault
from rocminfra.settings import load_settings

RUN = "20260513T101500Z-3fa9c1"
REQUEST = f"/run/rocminfra-load-{RUN}-5a4d71bf8ec2.json"
LINK = f"/run/rocminfra-bench/{RUN}"
CONFIG = {"run": RUN, "port": 40001, "target": "http://127.0.0.1:40001/v1"}
CONFIG |= {"work": "/var/lib/rocminfra/load/x", "user": "rocminfra-load"}
CLOCK = {"offset_s": 0.001, "uncertainty_s": 0.001, "furthest_s": 0.0, "samples": 4}
GOOD = {"connected": True, "problem": None, "about": None, "clock": CLOCK}


def state(active: str, whose: str = "rocminfra-load.service") -> str:
    """What systemd says of the unit."""
    return f"ActiveState={active}\nDescription={whose}\n"


class Host:
    """Answers commands by what they contain, and remembers them."""

    def __init__(self, **answers: str | list[str]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str | None]] = []

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        self.asked.append((command, stdin))
        found = next((text for sign, text in self.answers.items() if sign in command), "")
        if isinstance(found, list):
            found = found.pop(0)
        if found == "lost":
            raise OSError("Connection reset by peer")
        return Answer(True, found, "why not")

    def stream(self, command: str, stdin: str, size: int) -> AbstractContextManager[Readable]:
        raise AssertionError

    def commands(self, sign: str) -> list[str]:
        return [command for command, _ in self.asked if sign in command]


@pytest.fixture
def hosts() -> tuple[Host, Host]:
    """The engine's host, and the load generator."""
    return (
        Host(keygen="ssh-ed25519 AAAAengine rocminfra\n", load_link=json.dumps(GOOD)),
        Host(
            **{"ActiveState": state("inactive"), "systemd-run": json.dumps(CONFIG)},
            **{"sshd -T -C": "port 22\ngatewayports no\n"},
            sshd="ssh-ed25519 AAAAhost root@loader\n",
        ),
    )


def opened(hosts: tuple[Host, Host], target: str | None = None, host: str = "mi300x-1") -> Job:
    settings = load_settings({"bench.load_generator": "loader"})
    job = make_job(RUN, host, scenario([{"profile": "synchronous"}]), settings)
    load = LoadGenerator("loader", "203.0.113.20", 2222, hosts[1])
    open_link(job, hosts[0], load, "127.0.0.1:8000", target)
    return job


def test_the_private_half_of_the_key_goes_nowhere(hosts: tuple[Host, Host]) -> None:
    job = opened(hosts)
    assert job.record.load_generator is not None
    assert job.record.load_generator.link == LINK
    (made,) = hosts[0].commands("ssh-keygen")
    assert made.endswith(f"cat {LINK}/key.pub")
    (request,) = (text for command, text in hosts[1].asked if "systemd-run" in command)
    assert json.loads(request or "")["public_key"] == "ssh-ed25519 AAAAengine rocminfra"
    (link,) = (text for command, text in hosts[0].asked if "known_hosts" in command)
    assert json.loads(link or "") == {
        **{key: text for key, text in CONFIG.items() if key != "run"},
        "address": "203.0.113.20",
        "ssh_port": 2222,
        "engine": "127.0.0.1:8000",
        "model": job.record.model,
        "files": [],
    }
    (known,) = hosts[0].commands("known_hosts")
    assert "load-generator ssh-ed25519 AAAAhost" in known


@pytest.mark.parametrize(
    ("host", "answer", "fault", "words", "following"),
    [
        (
            0,
            {"load_link": json.dumps({**GOOD, "connected": False, "problem": "timed out"})},
            Fault.LOAD_GENERATOR_UNUSABLE,
            "mi300x-1 does not reach the load generator loader over SSH at 203.0.113.20 port 2222",
            "bench.load_generator_address",
        ),
        (
            0,
            {"load_link": json.dumps({**GOOD, "about": "engine", "problem": "refused"})},
            Fault.LOAD_GENERATOR_UNUSABLE,
            "loader does not reach the engine of mi300x-1",
            "firewall",
        ),
        (
            0,
            {"load_link": json.dumps({**GOOD, "clock": {**CLOCK, "furthest_s": 3.0}})},
            Fault.CLOCKS_APART,
            "the clocks of mi300x-1 and loader are too far apart",
            "timedatectl set-ntp true",
        ),
        (
            0,
            {"load_link": json.dumps({**GOOD, "about": "tunnel", "problem": "at 0.0.0.0"})},
            Fault.LOAD_GENERATOR_UNUSABLE,
            "a tunnel would publish the engine",
            "Match User rocminfra-load",
        ),
        (
            0,
            {"load_link": json.dumps({**GOOD, "about": "files", "problem": "/root/a.jsonl …"})},
            Fault.LOAD_GENERATOR_UNUSABLE,
            "loader cannot send the load as its user rocminfra-load",
            "let every user read that",
        ),
        (0, {"load_link": "lost"}, Fault.CONNECTION_LOST, "whether loader can be used", ""),
        (1, {"sshd": ""}, Fault.LOAD_GENERATOR_UNUSABLE, "the host key of loader", "sshd -T"),
        (
            1,
            {"systemd-run": ""},
            Fault.LOAD_GENERATOR_UNUSABLE,
            "loader does not let the run in",
            "journalctl -u rocminfra-load.service",
        ),
    ],
)
def test_what_fails_leaves_nothing_on_either_host(
    hosts: tuple[Host, Host],
    host: int,
    answer: dict[str, str],
    fault: Fault,
    words: str,
    following: str,
) -> None:
    hosts[host].answers.update(answer)
    with pytest.raises(FailedError) as raised:
        opened(hosts)
    failure = raised.value.failure
    assert failure.fault is fault
    assert words in failure.what
    assert following in next_of(failure)
    assert hosts[0].asked[-1][0].startswith(f"rm -rf {LINK}; rmdir /run/rocminfra-bench ")
    assert hosts[1].asked[-1][0] == (
        'if test "$(systemctl show --property=Description --value rocminfra-load.service)" = '
        f"'{RUN} mi300x-1'; then systemctl stop rocminfra-load.service; fi; rm -f {REQUEST}"
    ), "another engine's load goes on"


@pytest.mark.parametrize("active", ["active", "activating", "deactivating"])
@pytest.mark.parametrize("whose", ["20260513T090000Z-000001 mi300x-1", f"{RUN} mi300x-2"])
def test_a_load_generator_of_another_engine_is_left_alone(
    hosts: tuple[Host, Host], active: str, whose: str
) -> None:
    hosts[1].answers["ActiveState"] = state(active, whose)
    with pytest.raises(FailedError) as raised:
        opened(hosts)
    assert raised.value.failure.fault is Fault.BENCHMARK_RUNNING
    run, host = whose.split()
    assert f"loader sends the load of benchmark {run} for {host}" in said(raised.value)
    assert hosts[0].asked == []
    assert len(hosts[1].asked) == 1


def test_an_engine_that_comes_first_in_the_same_moment_is_left_alone(
    hosts: tuple[Host, Host],
) -> None:
    seen = [state("inactive"), state("activating", f"{RUN} mi300x-2")]
    hosts[1].answers |= {"ActiveState": seen, "systemd-run": ""}
    with pytest.raises(FailedError) as raised:
        opened(hosts)
    assert raised.value.failure.fault is Fault.BENCHMARK_RUNNING
    assert "for mi300x-2" in said(raised.value)


@pytest.mark.parametrize("active", ["active", "activating"])
def test_what_an_earlier_attempt_at_the_run_left_is_ended_first(
    hosts: tuple[Host, Host], active: str
) -> None:
    hosts[1].answers["ActiveState"] = state(active, f"{RUN} mi300x-1")
    opened(hosts)
    assert hosts[1].asked[1][0] == "systemctl stop rocminfra-load.service"


def test_each_engine_has_files_of_its_own(hosts: tuple[Host, Host]) -> None:
    opened(hosts)
    opened(hosts, host="mi300x-2")
    first, second = (json.loads(text or "") for _, text in hosts[1].asked if text is not None)
    assert first["work"] != second["work"]
    paths = [command.split("cat >")[1].split()[0] for command in hosts[1].commands("systemd-run")]
    assert paths[0] == REQUEST
    assert paths[0] != paths[1]
    assert all(path.endswith(".json") for path in paths)


def test_a_tunnel_that_sshd_would_publish_is_never_opened(hosts: tuple[Host, Host]) -> None:
    hosts[1].answers["sshd -T -C"] = "port 22\ngatewayports yes\n"
    with pytest.raises(FailedError) as raised:
        opened(hosts)
    failure = raised.value.failure
    assert failure.fault is Fault.LOAD_GENERATOR_UNUSABLE
    assert "GatewayPorts yes" in failure.what
    assert "Match User rocminfra-load" in next_of(failure)
    assert hosts[0].asked == []
    (asked,) = hosts[1].commands("sshd")
    assert "-C user=rocminfra-load,host=x,addr=127.0.0.1,laddr=127.0.0.1,lport=2222" in asked
    assert hosts[1].commands("systemd-run") == []


def test_without_a_tunnel_its_gateway_is_no_matter(hosts: tuple[Host, Host]) -> None:
    hosts[1].answers["sshd -T -C"] = "gatewayports yes\n"
    opened(hosts, "http://10.0.0.2:8000/v1")
    assert hosts[1].commands("sshd -T -C") == []
