"""Life cycle of the engine: image, unit, readiness."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Sequence

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, QuoteString, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.docker import DockerContainer, DockerImage, Image, NoAnswer
from rocminfra.facts.engine import EngineReadiness, EngineStatus
from rocminfra.facts.gpu_nodes import GpuNodes, group_ids
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.failure import Argument, Do, ExitCode, Failure
from rocminfra.host_paths import UNITS
from rocminfra.operations import host_files
from rocminfra.operations.commands import Commands, systemctl
from rocminfra.operations.docker import UNANSWERED
from rocminfra.operations.host_failures import fail, record
from rocminfra.planning.engine_command import CONFIG_LABEL, HASH_PLACEHOLDER, config_hash

# One question waits at most this long on the host, so that a lost connection is noticed.
WAIT_SLICE_S = 15

# Of a fetch of the image in the background, which a lost connection does not end.
# One name for each image and source: what was begun for another one is not waited for.
IMAGE_UNIT = "rocminfra-image"
RUN_FOLDER = "/run"


@operation()
def image_started(reference: str, archive: str | None = None) -> Commands:
    """Begin to fetch the engine's image, and do not wait: :func:`image` does, later on.

    For a playbook that has something else to wait for, such as a model's download.

    + reference: name and tag, or ``name@sha256:…``
    + archive: ``docker save`` archive on the host to load it from; None pulls it
    """
    unit = _image_unit(reference, archive)
    command = StringCommand(
        f"systemctl is-active --quiet {unit} ||",
        # HOME, because that is where a registry's login is. systemd expands variables.
        f'systemd-run --quiet --collect --unit={unit} --setenv=HOME="$HOME"',
        _fetch(reference, archive).replace("$", "$$"),
        # Only a head start: the engine's own operation fetches what is not there.
        "|| echo the image is fetched later",
    )
    yield from _unless_there(reference, command)


@operation()
def image(reference: str, archive: str | None = None) -> Commands:
    """Ensure that the engine's image is on the host.

    + reference: name and tag, or ``name@sha256:…``
    + archive: ``docker save`` archive on the host to load it from; None pulls it

    Waits for a fetch that :func:`image_started` began, in this run or in one that was cut off.
    When that one failed, it is tried again here, where its error is seen.
    """
    yield from _unless_there(reference, StringCommand(_fetch(reference, archive)))


def _unless_there(reference: str, command: StringCommand) -> Commands:
    """``command``, unless the image is on the host, or nobody can tell."""
    found = host.get_fact(DockerImage, reference=reference)
    if isinstance(found, NoAnswer):
        yield fail(UNANSWERED)
    elif found is not None:
        host.noop(f"image {reference} is on the host")
    else:
        yield command


def _image_unit(reference: str, archive: str | None) -> str:
    digest = hashlib.sha256(f"{reference}\n{archive or ''}".encode()).hexdigest()
    return f"{IMAGE_UNIT}-{digest[:8]}"


def _fetch(reference: str, archive: str | None) -> str:
    """Command that fetches the image unless it is there; one at a time, the others wait for it."""
    name = shlex.quote(reference)
    is_there = f"docker image inspect {name} >/dev/null 2>&1"
    if archive is None:
        fetch = f"docker pull --quiet {name}"
    else:
        path = shlex.quote(archive)
        wrong = shlex.quote(f"the archive {archive} holds no image {reference}")
        fetch = f"{{ docker load --quiet --input {path} && {{ {is_there} || "
        fetch += f"{{ echo {wrong} >&2; exit 1; }}; }}; }}"
    lock = f"{RUN_FOLDER}/{_image_unit(reference, archive)}.lock"
    return f"flock {lock} sh -c {shlex.quote(f'{is_there} || {fetch}')}"


@operation()
def service(
    unit: str,
    container: str,
    reference: str,
    environment_file: host_files.HostFile,
    render: Callable[[str, Sequence[int], str], str],
) -> Commands:
    """Ensure that the engine's unit is installed, enabled and runs what it declares.

    + unit: name of the unit, such as ``vllm.service``
    + container: name of the container that it runs
    + reference: the image; the unit gets its repository digest, or its ID when it has none
    + environment_file: file that the unit hands to ``docker run --env-file``
    + render: makes the unit's text from pinned image, numeric group ids of the GPU's nodes and
      the hash to put on the container as label ``rocminfra.config``

    What runs is judged by the label on the *running* container. It differs after a change, and
    also after a run that was killed between writing the unit and restarting: either way there is
    exactly one restart.
    """
    found = host.get_fact(DockerImage, reference=reference)
    running = host.get_fact(DockerContainer, container=container)
    if isinstance(found, NoAnswer) or isinstance(running, NoAnswer):
        yield fail(UNANSWERED)  # and an engine that may be healthy is not restarted
        return
    pinned = (found or Image(id=reference, repo_digests=())).pinned
    groups = group_ids(host.get_fact(GpuNodes))
    wanted = config_hash(
        unit=render(pinned, groups, HASH_PLACEHOLDER),
        environment=environment_file.content,
        image=pinned,
    )
    unit_file = host_files.HostFile(f"{UNITS}/{unit}", render(pinned, groups, wanted))
    file_changes = list(host_files.present._inner([environment_file, unit_file]))
    yield from file_changes
    current = host.get_fact(SystemdUnit, unit=unit)
    if file_changes or current is None or current.needs_reload:
        yield StringCommand("systemctl daemon-reload")
    if current is None or not current.enabled:
        yield StringCommand("systemctl enable", QuoteString(unit))
    is_right = running is not None and running.label(CONFIG_LABEL) == wanted
    if current is not None and current.active_state in ("active", "activating") and is_right:
        host.noop(f"{unit} runs what it should")
        return
    # A unit that has used up its start limit does not start, whatever has been mended since.
    yield StringCommand("systemctl reset-failed", QuoteString(unit), "2>/dev/null || true")
    yield systemctl("restart", unit)


@operation()
def ready(
    unit: str,
    container: str,
    port: int,
    model: str,
    timeout_s: int,
    address: str = "127.0.0.1",
) -> Commands:
    """Wait until the engine serves the declared model, or say why it does not.

    + unit, container: names of the unit and of its container
    + port: port that it listens on
    + model: name under which it is served
    + timeout_s: deadline in seconds
    + address: where it is asked, on the host itself

    Ends at once when the unit is dead or something else answers on the port.
    """
    question = {"unit": unit, "container": container, "port": port, "model": model}
    if address != "127.0.0.1":
        question["address"] = address
    if host.get_fact(EngineReadiness, **question).state == "ready":
        host.noop(f"{model} is served on port {port}")
        return
    yield FunctionCommand(_wait_until_ready, (question, timeout_s), {})


def _wait_until_ready(
    state: State, host: Host, question: dict[str, str | int], timeout_s: int
) -> bool:
    started = time.monotonic()
    while True:
        left = timeout_s - (time.monotonic() - started)
        wait_s = max(0, min(WAIT_SLICE_S, int(left)))
        status = host.get_fact(EngineReadiness, **question, wait_s=wait_s)
        if status.state == "ready":
            return True
        elapsed = time.monotonic() - started
        if status.state != "loading" or elapsed >= timeout_s:
            record(host, _not_ready(question, status, elapsed, timeout_s))
            return False
        last = status.log[-1] if status.log else status.reason
        host.log(f"still loading {elapsed:.0f} s of {timeout_s} s: {last}", logger.info)


def _not_ready(
    question: dict[str, str | int], status: EngineStatus, elapsed_s: float, timeout_s: int
) -> Failure:
    what = f"{question['unit']} does not serve {question['model']}: {status.reason}"
    if status.state == "loading":
        what = f"{what} (gave up after {elapsed_s:.0f} s of {timeout_s} s)"
    return Failure(
        ExitCode.NOT_READY,
        what,
        status.log,
        Do(
            f"on the host: journalctl -u {question['unit']}; where it only needs longer, raise ",
            Argument("engine", "timeout_s"),
        ),
    )
