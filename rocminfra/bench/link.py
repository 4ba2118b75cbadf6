"""Let the engine's host use a load generator for one run, with a key that is the run's own.

The operator carries three things from one host to the other over connections of their own: the
public half of a key that never leaves the engine's host, the load generator's host key, and where
it is. From then on the operator is not needed.

Knows nothing of pyinfra: whoever calls it brings a :class:`Remote` of each host.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from typing import Any

from rocminfra import host_paths
from rocminfra.bench.job import Job
from rocminfra.bench.remote import Answer, Remote
from rocminfra.failure import Again, Do, FailedError, Fault
from rocminfra.planning.bench.validity import clock_offset_doubts

UNIT = "rocminfra-load.service"
USER = host_paths.LOAD_USER
_TIMEOUT_S = 60
# The first time, GuideLLM is compiled there.
_LET_IN_S = 240
# The check tries several times, and waits for the engine through the tunnel.
_CHECK_TIMEOUT_S = 150
# A run may take its time; on top of that its last point is still collected.
_SLACK_S = 600
_PROGRAM = f"PYTHONPATH={host_paths.BENCH_PROGRAMS} python3 -m rocminfra.host.bench"


@dataclass(frozen=True)
class LoadGenerator:
    """The host on which GuideLLM runs.

    + name: in the inventory
    + address, ssh_port: where the engine's host reaches it over SSH
    + remote: its connection to the operator
    """

    name: str
    address: str
    ssh_port: int
    remote: Remote


def open_link(
    job: Job, engine: Remote, load: LoadGenerator, engine_at: str, target: str | None
) -> None:
    """Let the engine's host use the load generator, and see that it can.

    + job: the run
    + engine: the engine's host
    + engine_at: ``address:port`` at which the engine is asked on its own host
    + target: base address of the engine, as the load generator reaches it; None for a tunnel

    Raises :class:`FailedError`, and leaves nothing on either host then.
    """
    record = job.record.load_generator
    assert record is not None
    folder = record.link
    _refuse_in_use(job, load)
    if target is None:
        _refuse_gateway(load)
    try:
        made = _ask(
            engine,
            f"rm -rf {folder} && install -d -m 0700 {host_paths.LOAD_LINKS} {folder} && "
            f"ssh-keygen -q -t ed25519 -N '' -C rocminfra-{job.run} -f {folder}/key && "
            f"cat {folder}/key.pub",
            None,
            f"no key could be made for run {job.run}",
        )
        config = _let_in(job, load, made.stdout.strip(), target)
        keys = _host_keys(load)
        link = {
            **{name: config[name] for name in ("port", "target", "work", "user")},
            "address": load.address,
            "ssh_port": load.ssh_port,
            "engine": engine_at,
            "model": job.record.model,
            "files": list(job.scenario.host_files),
        }
        known = "".join(f"load-generator {key}\n" for key in keys)
        _ask(
            engine,
            f"cd {folder} && umask 077 && printf %s {shlex.quote(known)} >known_hosts && "
            "cat >link.json",
            json.dumps(link),
            "the way to the load generator could not be written down",
        )
        _check(job, engine, load, folder)
    except BaseException:
        _give_up(job, engine, load, folder)
        raise


def close_link(job: Job, engine: Remote, load: LoadGenerator) -> None:
    """Leave the load generator, as far as it is this run's; says nothing of what fails."""
    record = job.record.load_generator
    assert record is not None
    _give_up(job, engine, load, record.link)


def _use(job: Job) -> str:
    """Name of one engine's use of a load generator: hosts of one run have its id in common."""
    host = hashlib.sha256(job.host.encode()).hexdigest()
    return f"{job.run}-{host[:12]}"


def _whose(job: Job) -> str:
    """Description of the unit: its run and its host."""
    return f"{job.run} {job.host}"


def _request_path(job: Job) -> str:
    return f"{host_paths.LOAD_REQUEST}{_use(job)}.json"


def _refuse_in_use(job: Job, load: LoadGenerator) -> None:
    """See that no other engine uses the load generator, or is about to.

    systemd lets one unit of the name exist, from its start until all is tidied after its end.
    """
    found = _ask(
        load.remote,
        f"systemctl show --property=ActiveState,Description {UNIT}",
        None,
        f"{load.name} cannot be looked at",
    )
    seen = dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)
    if seen.get("ActiveState", "inactive") in ("inactive", "failed"):
        return
    whose = seen.get("Description", "")
    if whose == _whose(job):
        # Of an earlier attempt at this run, which no longer goes on.
        _ask(load.remote, f"systemctl stop {UNIT}", None, f"{UNIT} on {load.name} does not stop")
        return
    run, _, host = whose.partition(" ")
    raise FailedError(
        Fault.BENCHMARK_RUNNING,
        f"{load.name} sends the load of benchmark {run} for {host}",
        next=Again(f"wait for its end, or on {load.name}: systemctl stop {UNIT}; then"),
    )


def _refuse_gateway(load: LoadGenerator) -> None:
    """See that sshd would open the tunnel on the loopback only, before there is one.

    ``GatewayPorts yes`` overrides the address that the client asked for (sshd_config(5)).
    """
    of_run = f"user={USER},host=x,addr=127.0.0.1,laddr=127.0.0.1,lport={load.ssh_port}"
    found = _ask(
        load.remote,
        f"PATH=$PATH:/usr/sbin; sshd -T -C {of_run}",
        None,
        f"the settings of sshd on {load.name} cannot be read",
    )
    said = dict(line.lower().split(" ", 1) for line in found.stdout.splitlines() if " " in line)
    if said.get("gatewayports") == "yes":
        raise _publishes(load)


def _publishes(load: LoadGenerator, *why: str) -> FailedError:
    return FailedError(
        Fault.LOAD_GENERATOR_UNUSABLE,
        f"sshd on {load.name} has GatewayPorts yes: a tunnel would publish the engine in its "
        "network",
        why,
        Again(
            f"on {load.name}: printf '\\nMatch User {USER}\\n  GatewayPorts no\\n' "
            ">>/etc/ssh/sshd_config && /usr/sbin/sshd -t && systemctl reload ssh; then"
        ),
    )


def _let_in(job: Job, load: LoadGenerator, public_key: str, target: str | None) -> dict[str, Any]:
    """Let the run in, as a unit of the load generator that lasts as long as it may."""
    seconds = int(job.scenario.deadline_seconds) + _SLACK_S
    request = {
        "run": job.run,
        "host": job.host,
        "user": USER,
        "public_key": public_key,
        "target": target,
        "python": job.record.guidellm_python,
        "seconds": seconds,
        "programs": host_paths.BENCH_PROGRAMS,
        "home": host_paths.LOAD_HOME,
        "work": f"{host_paths.LOAD_WORK}/{_use(job)}",
    }
    path = _request_path(job)
    program = "/usr/bin/env python3 -m rocminfra.host.bench.load_host"
    stopped = shlex.quote(f"--property=ExecStopPost={program} close {path}")
    # systemd replaces specifiers (systemd.unit(5)).
    described = shlex.quote("--description=" + _whose(job).replace("%", "%%"))
    what = f"{load.name} does not let the run in"
    answer = _run(
        load.remote,
        f"umask 077; cat >{path} && umask 022 && "
        f"systemd-run --quiet --collect --unit={UNIT} {described} "
        f"--service-type=notify --property=TimeoutStartSec={_LET_IN_S} "
        f"--property=RuntimeMaxSec={seconds} --property=TimeoutStopSec=60 "
        f"{stopped} --setenv=PYTHONPATH={host_paths.BENCH_PROGRAMS} {program} hold {path} && "
        f"cat {host_paths.LOAD_HOME}/config.json || "
        f"{{ journalctl --unit={UNIT} --lines=5 --no-pager --output=cat >&2; false; }}",
        json.dumps(request),
        _LET_IN_S + _TIMEOUT_S,
        what,
    )
    try:
        config: dict[str, Any] = json.loads(answer.stdout)
    except ValueError:
        # Another engine may have come first.
        _refuse_in_use(job, load)
        raise FailedError(
            Fault.LOAD_GENERATOR_UNUSABLE,
            what,
            answer.stderr.splitlines()[-5:],
            Do(f"on {load.name}: journalctl -u {UNIT}"),
        ) from None
    return config


def _host_keys(load: LoadGenerator) -> list[str]:
    """The host keys that sshd of the load generator shows, read where they lie."""
    found = _ask(
        load.remote,
        "PATH=$PATH:/usr/sbin; sshd -T 2>/dev/null | while read -r name path; do "
        'if test "$name" = hostkey; then ssh-keygen -y -f "$path" 2>/dev/null; fi; done; true',
        None,
        f"the host key of {load.name} cannot be read",
    )
    keys = [" ".join(line.split()[:2]) for line in found.stdout.splitlines() if line.strip()]
    if not keys:
        raise FailedError(
            Fault.LOAD_GENERATOR_UNUSABLE,
            f"the host key of {load.name} cannot be read",
            found.stderr.splitlines()[-5:],
            Do(f"on {load.name}: sshd -T | grep ^hostkey"),
        )
    return keys


def _check(job: Job, engine: Remote, load: LoadGenerator, folder: str) -> None:
    what = f"whether {load.name} can be used is not known"
    command = f"{_PROGRAM}.load_link check {folder}"
    answer = _run(engine, command, None, _CHECK_TIMEOUT_S, what)
    try:
        found = json.loads(answer.stdout)
    except ValueError:
        why = answer.stderr.splitlines()[-5:]
        raise FailedError(Fault.LOAD_GENERATOR_UNUSABLE, what, why, Again(verbose=True)) from None
    where = f"{load.address} port {load.ssh_port}"
    if not found["connected"]:
        raise FailedError(
            Fault.LOAD_GENERATOR_UNUSABLE,
            f"{job.host} does not reach the load generator {load.name} over SSH at {where}",
            (found["problem"],),
            Again(
                "set bench.load_generator_address to an address at which it does, and let its "
                "firewall and sshd (AllowUsers) admit it; then"
            ),
        )
    if found["about"] == "tunnel":
        # For some addresses only (Match Address), which sshd was not asked about.
        raise _publishes(load, found["problem"])
    if found["about"] == "files":
        raise FailedError(
            Fault.LOAD_GENERATOR_UNUSABLE,
            f"{load.name} cannot send the load as its user {USER}",
            (found["problem"],),
            Again(f"on {load.name}: let every user read that, and pass its folders; then"),
        )
    if found["problem"] is not None:
        raise FailedError(
            Fault.LOAD_GENERATOR_UNUSABLE,
            f"{load.name} does not reach the engine of {job.host}",
            (found["problem"],),
            Again(
                "let the firewall admit it, or leave bench.engine_address out for a tunnel; then"
            ),
        )
    doubts = clock_offset_doubts(found["clock"]) if found["clock"] else ()
    if doubts:
        raise FailedError(
            Fault.CLOCKS_APART,
            f"the clocks of {job.host} and {load.name} are too far apart",
            doubts,
            Again("on both hosts: timedatectl set-ntp true; then"),
        )


def _give_up(job: Job, engine: Remote, load: LoadGenerator, folder: str) -> None:
    whose = f"systemctl show --property=Description --value {UNIT}"
    is_ours = f'test "$({whose})" = {shlex.quote(_whose(job))}'
    for remote, command in (
        (load.remote, f"if {is_ours}; then systemctl stop {UNIT}; fi; rm -f {_request_path(job)}"),
        (engine, f"rm -rf {folder}; rmdir {host_paths.LOAD_LINKS} 2>/dev/null || true"),
    ):
        try:
            remote.run(command, None, _TIMEOUT_S)
        except (OSError, EOFError):
            # The key expires, and the unit ends by itself when nothing is heard of the run.
            continue


def _run(remote: Remote, command: str, stdin: str | None, timeout_s: int, what: str) -> Answer:
    try:
        return remote.run(command, stdin, timeout_s)
    except (OSError, EOFError) as error:
        why = (f"{type(error).__name__}: {error}",)
        raise FailedError(Fault.CONNECTION_LOST, what, why, Again()) from None


def _ask(remote: Remote, command: str, stdin: str | None, what: str) -> Answer:
    answer = _run(remote, command, stdin, _TIMEOUT_S, what)
    if not answer.succeeded:
        why = answer.stderr.splitlines()[-5:]
        raise FailedError(Fault.LOAD_GENERATOR_UNUSABLE, what, why, Again(verbose=True))
    return answer
