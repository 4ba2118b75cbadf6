"""What becomes of a host's Docker configuration: kept, written, or refused as it is.

A Docker that was there before is somebody's. So the configuration is judged as a whole: flags of
the unit and keys of daemon.json together, with what each of our keys would do to those that stay.

Sources: docs.docker.com ("dockerd", "Docker daemon configuration overview", "Isolate containers
with a user namespace", "containerd image store"); moby, daemon/config: a key that is both a flag
and in the file ends the start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rocminfra.failure import Again, Argument, Do, Failure, Fault
from rocminfra.planning.docker import installation, parts
from rocminfra.planning.docker.observation import DAEMON_JSON, DockerSeen

DEFAULT_ROOT = "/var/lib/docker"
LOG_DRIVER = "local"
# Docker 29 keeps images below /var/lib/containerd, on the root disk, unless told not to.
SNAPSHOTTER = "containerd-snapshotter"


@dataclass(frozen=True)
class Keep:
    """Nothing is to be written."""


@dataclass(frozen=True)
class Write:
    """A configuration to write.

    + text: of daemon.json
    + hides: whether Docker would no longer show the containers that a containerd store has
    + moves: whether the data was to be elsewhere
    """

    text: str
    hides: bool = False
    moves: bool = False


@dataclass(frozen=True)
class Refuse:
    """Somebody has to decide."""

    failure: Failure


Decision = Keep | Write | Refuse


def decide(
    seen: DockerSeen, data_root: str, package: str = "docker.io", serves: bool = False
) -> Decision:
    """What becomes of daemon.json so that Docker's data is in ``data_root``.

    + package: what would be installed where no Docker is
    + serves: whether Docker runs with its data there; then only what is wrong is changed, because
      a change means a restart
    """
    refused = installation.problem(seen, package, data_root)
    if refused is not None:
        return Refuse(refused)
    try:
        text = seen.file or ""
        current = json.loads(text, parse_constant=_no_constant) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        return Refuse(_not_json(seen, str(error)))
    if not isinstance(current, dict):
        return Refuse(_not_json(seen, f"it is a {type(current).__name__}"))
    merged = _merged(seen, current, data_root, serves)
    refused = _problem(seen, current, merged, data_root, serves)
    if refused is not None:
        return Refuse(refused)
    if merged == current:
        return Keep()
    if seen.is_file_elsewhere:
        return Refuse(_elsewhere(seen, current, merged))
    if seen.file_problem:
        return Refuse(_no_file(seen.file_problem))
    before = _feature(current)
    text = json.dumps(merged, indent=2, sort_keys=True) + "\n"
    return Write(
        text,
        hides=before is not False and _feature(merged) is False,
        moves="data-root" not in seen.flags and not _is_there(seen, current, data_root),
    )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_there(seen: DockerSeen, current: Mapping[str, object], data_root: str) -> bool:
    """Whether a file puts the data where it is to be, under either name of the key."""
    there = current.get("data-root", current.get("graph")) or DEFAULT_ROOT
    return isinstance(there, str) and seen.is_same_path(there, data_root)


def _merged(
    seen: DockerSeen, current: Mapping[str, object], data_root: str, serves: bool
) -> dict[str, object]:
    """The file with our keys in it, as far as each of them is ours to set."""
    merged = dict(current)
    is_right = _is_there(seen, current, data_root)
    # The old name of the same key, which later Dockers do not take, and none beside the new one.
    if "graph" in current and not (seen.is_proven or serves):
        is_right &= "data-root" in current
        merged.pop("graph")
    if "data-root" not in seen.flags and not is_right:
        merged.pop("graph", None)
        merged["data-root"] = data_root
    # The engine's container names its own log driver, so whatever is configured may stay: options
    # belong to one driver, and Docker does not start with those of another.
    logs = {"log-driver", "log-opts"}
    if not serves and not logs & set(current) and not logs & set(seen.flags):
        merged["log-driver"] = LOG_DRIVER
    features = current.get("features")
    is_ours = "features" not in seen.flags and (features is None or isinstance(features, dict))
    if is_ours and not (serves and _feature(current) is None):
        merged["features"] = {
            **(features if isinstance(features, dict) else {}),
            SNAPSHOTTER: False,
        }
    return merged


def _problem(
    seen: DockerSeen,
    current: Mapping[str, object],
    merged: Mapping[str, object],
    data_root: str,
    serves: bool,
) -> Failure | None:
    roots = seen.flags.get("data-root", ())
    if roots and not seen.is_same_path(roots[-1], data_root):
        return _refused(
            f"docker.service puts Docker's data in {roots[-1]} with a flag, not in {data_root}",
            "--data-root (or -g)",
        )
    refused = _unheard(seen, merged)
    if refused is not None:
        return refused
    if any(map(_turns_on_containerds_store, seen.flags.get("features", ()))):
        return _refused(
            "docker.service keeps images in containerd's store with a flag, on the root disk and "
            f"not in {data_root}",
            f"--feature {SNAPSHOTTER}",
        )
    changed = {key for key in {*current, *merged} if current.get(key) != merged.get(key)}
    # These are checked otherwise, or may be given twice; Docker has taken what it runs with.
    given = changed if seen.is_proven else set(merged)
    both = sorted(set(seen.flags) & given - {"features", "runtimes"})
    if both:
        return Failure(
            Fault.DOCKER_CONFIGURATION_UNFIT,
            f"Docker does not start with a setting that is both a flag of docker.service and in "
            f"{seen.file_path}: {', '.join(both)}",
            ("systemctl cat docker.service shows the flags",),
            Again(
                f"on the host, remove it from one of them ({seen.file_path} is the usual one), then"
            ),
        )
    if merged.get("userns-remap") or seen.flags.get("userns-remap", ("",))[-1]:
        return Failure(
            Fault.DOCKER_CONFIGURATION_UNFIT,
            "Docker runs containers under other user ids here (userns-remap), and the engine "
            "needs the host's network and devices",
            next=Again(f"on the host, remove userns-remap from {seen.file_path} or the unit, then"),
        )
    return parts.problem(
        seen,
        merged,
        data_root,
        is_own_store=_feature(merged) is False,
        shown=parts.shown(changed, serves) if seen.is_proven else frozenset(),
    )


def _unheard(seen: DockerSeen, merged: Mapping[str, object]) -> Failure | None:
    """Why nobody could talk to a Docker with this file at the host's own socket, or None."""
    listed = merged.get("hosts")
    given = [*seen.flags.get("hosts", ()), *(listed if isinstance(listed, list) else ())]
    hosts = [str(host).strip() for host in given]
    is_heard = any(not host or host.startswith("fd:") for host in hosts)
    if not hosts or is_heard or set(hosts) & set(installation.SOCKETS):
        return None
    return Failure(
        Fault.DOCKER_CONFIGURATION_UNFIT,
        f"Docker listens at {', '.join(hosts)} alone, and what starts the engine asks at "
        "/run/docker.sock",
        next=Again(
            f"on the host, add unix:///var/run/docker.sock to hosts in {seen.file_path}, or "
            "-H fd:// to the command of docker.service, then"
        ),
    )


def _turns_on_containerds_store(feature: str) -> bool:
    name, _, value = feature.partition("=")
    return name.strip() == SNAPSHOTTER and value.strip().lower() not in ("false", "f", "0")


def _feature(configuration: Mapping[str, object]) -> object:
    features = configuration.get("features")
    return features.get(SNAPSHOTTER) if isinstance(features, dict) else None


def _refused(what: str, flag: str) -> Failure:
    return Failure(
        Fault.DOCKER_FLAG,
        what,
        ("systemctl cat docker.service shows where the flag stands",),
        Again(
            f"on the host, remove {flag} from the unit's drop-in or /etc/default/docker and run "
            "systemctl daemon-reload, then"
        ),
    )


def _elsewhere(
    seen: DockerSeen, current: Mapping[str, object], merged: Mapping[str, object]
) -> Failure:
    """The failure of a configuration that is not right and not ours to write."""
    path = seen.file_path
    wanted = {key: value for key, value in merged.items() if current.get(key) != value}
    gone = sorted(set(current) - set(merged))
    without = f", without {', '.join(gone)}" if gone else ""
    return Failure(
        Fault.DOCKER_FLAG,
        f"docker.service reads {path} instead of {DAEMON_JSON} (--config-file), and something in "
        f"it has to change: {', '.join(sorted({*wanted, *gone}))}",
        ("systemctl cat docker.service shows where the flag stands",),
        Again(
            f"on the host, write {json.dumps(wanted, sort_keys=True)} into {path}{without}, and "
            "run systemctl restart docker.service; or remove --config-file from the unit's drop-in "
            "or /etc/default/docker, and run systemctl daemon-reload; then"
        ),
    )


def _not_json(seen: DockerSeen, why: str) -> Failure:
    return Failure(
        Fault.DOCKER_CONFIGURATION_UNFIT,
        f"{seen.file_path} is not a JSON object",
        (why,),
        Again(f"repair or remove {seen.file_path} on the host, then"),
    )


def _no_file(problem: str) -> Failure:
    return Failure(
        Fault.DOCKER_CONFIGURATION_UNFIT,
        f"{DAEMON_JSON} has to be changed, and it {problem}",
        next=Again(
            f"make it a plain file on the host, or let whoever looks after it set data-root in it "
            f"(ls -l {DAEMON_JSON}), then"
        ),
    )


def moving(now: str, data_root: str, contents: tuple[str, ...]) -> Failure:
    """Containers or volumes that a move of the data, or another image store, would hide."""
    return Failure(
        Fault.DOCKER_DATA_ELSEWHERE,
        f"Docker's data is in {now}, with containers or volumes that moving it to {data_root} "
        "would stop and hide",
        contents[:10],
        Again(
            "remove them on the host (docker rm -f NAME, docker volume rm NAME), or leave "
            "them behind",
            arguments=((Argument("docker", "leave_behind"), "true"),),
        ),
    )


def unmanaged(containers: tuple[str, ...]) -> Failure:
    """Containers that would go on where no Docker knows them any more."""
    return Failure(
        Fault.DOCKER_DATA_ELSEWHERE,
        "Docker lets containers run on while it is restarted here (live-restore), and with its "
        "data elsewhere it would not know them any more",
        containers[:10],
        Again(f"stop them on the host (docker stop {' '.join(containers[:3])}), then"),
    )


UNANSWERED = Failure(
    Fault.DOCKER_DOES_NOT_RUN,
    "Docker runs on this host and does not answer",
    next=Do("on the host: journalctl -u docker.service, then systemctl restart docker.service"),
)
