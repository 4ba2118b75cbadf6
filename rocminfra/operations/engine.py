"""Life cycle of the engine: image, unit, readiness."""

from __future__ import annotations

import hashlib
import json
import posixpath
import shlex
from collections.abc import Callable, Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.docker import DockerContainer, DockerImage, Image, NoAnswer
from rocminfra.facts.engine import LOCAL, EngineReadiness
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.gpu_nodes import GpuNodes, group_ids
from rocminfra.facts.kept_files import KeptFiles
from rocminfra.facts.system import Arch
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.failure import Failure
from rocminfra.host_paths import ENGINE_BEFORE, ENGINE_QUESTION, UNITS
from rocminfra.operations import engine_change, host_files, kept_files
from rocminfra.operations.commands import Commands
from rocminfra.operations.engine_readiness import Question, not_ready, wait
from rocminfra.operations.foreseen import foresee, is_wanted
from rocminfra.operations.host_failures import fail
from rocminfra.operations.run_now import run_now
from rocminfra.operations.serving import answered
from rocminfra.planning import engine_image
from rocminfra.planning.docker.configuration import UNANSWERED
from rocminfra.planning.engine_command import CONFIG_LABEL, HASH_PLACEHOLDER, config_hash
from rocminfra.planning.foreseen import Foreseen, argument_changes
from rocminfra.planning.serving import Served

# Of a fetch of the image in the background, which a lost connection does not end.
# One name for each image and source: what was begun for another one is not waited for.
IMAGE_UNIT = "rocminfra-image"
RUN_FOLDER = "/run"
USUAL_IMAGE_BYTES = 22_000_000_000


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
    yield from _unless_there(reference, command, archive, is_told=False)


@operation()
def image(reference: str, archive: str | None = None) -> Commands:
    """Ensure that the engine's image is on the host.

    + reference: name and tag, or ``name@sha256:…``
    + archive: ``docker save`` archive on the host to load it from; None pulls it

    Waits for a fetch that :func:`image_started` began, in this run or in one that was cut off.
    When that one failed, it is tried again here, where its error is seen.
    """
    command = StringCommand(_fetch(reference, archive))
    yield from _unless_there(reference, command, archive, is_told=True)


def _unless_there(
    reference: str, command: StringCommand, archive: str | None, *, is_told: bool
) -> Commands:
    """``command``, unless the image is on the host, or nobody can tell.

    + is_told: whether a plan is to name it; of a fetch that is begun and one that is waited for
      only one is
    """
    found = host.get_fact(DockerImage, reference=reference)
    if isinstance(found, NoAnswer):
        yield fail(UNANSWERED)
    elif found is not None:
        host.noop(f"image {reference} is on the host")
    else:
        # AMD's images of vLLM are about that large (github.com/ROCm/vllm/issues/363); a registry
        # tells the size only of layers.
        loads = "loads" if archive is not None else "pulls"
        size = None if archive is not None else USUAL_IMAGE_BYTES
        words = f"{loads} {reference}" + ("" if size is None else f", usually {size / 1e9:.0f} GB")
        if is_told:
            foresee(host, Foreseen(words, download_bytes=size, is_estimate=size is not None))
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
    arguments: Sequence[str],
    port: int,
    model: str,
    timeout_s: int = 1800,
    address: str = LOCAL,
) -> Commands:
    """Ensure that the engine's unit is installed, enabled and runs what it declares.

    + unit: name of the unit, such as ``vllm.service``
    + container: name of the container that it runs
    + reference: the image; the unit gets its repository digest, or its ID when it has none
    + environment_file: file that the unit hands to ``docker run --env-file``
    + render: makes the unit's text from pinned image, numeric group ids of the GPU's nodes and
      the hash to put on the container as label ``rocminfra.config``
    + arguments: of ``vllm serve``, as they stand in the unit
    + port: port on the host's loopback
    + model: name under which it is served
    + timeout_s: how long the engine from before may take to serve again, in seconds
    + address: where it is asked, on the host itself

    What runs is judged by the label on the *running* container. It differs after a change, and
    also after a run that was killed between writing the unit and restarting: either way there is
    exactly one restart.

    An engine that runs is stopped only when the image begins with ``vllm serve``, is made for this
    machine, and takes the arguments. When the new one does not start, the one from before is back
    and serves, and the host's run fails; :func:`ready` does the same when it does not get ready.
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
    question = _question(unit, container, port, model, address)
    question_file = host_files.HostFile(ENGINE_QUESTION, json.dumps(question, indent=2) + "\n")
    current = host.get_fact(SystemdUnit, unit=unit)
    is_right = running is not None and running.label(CONFIG_LABEL) == wanted
    is_up = current is not None and current.active_state in ("active", "activating")
    if not (is_up and is_right):
        refused = _implausible(reference, found)
        if refused is not None:
            yield fail(refused)
            return
        asked = (pinned, tuple(arguments), environment_file.content)
        yield FunctionCommand(engine_change.arguments_taken, asked, {})
        paths = [unit_file.path, environment_file.path]
        yield from engine_change.keep_serving(host, question, running, paths)
        if is_wanted(host):
            foresee(host, *_foreseen(unit_file, running is not None and is_up, timeout_s))
    file_changes = list(host_files.present._inner([environment_file, question_file, unit_file]))
    yield from file_changes
    if file_changes or current is None or current.needs_reload:
        yield StringCommand("systemctl daemon-reload")
    if current is None or not current.enabled:
        yield StringCommand("systemctl enable", QuoteString(unit))
    if is_up and is_right:
        host.noop(f"{unit} runs what it should")
        return
    yield FunctionCommand(engine_change.started, (unit, timeout_s), {})


def _foreseen(unit: host_files.HostFile, serves: bool, timeout_s: int) -> list[Foreseen]:
    """A start or a restart, and what differs in the unit's options."""
    name = posixpath.basename(unit.path)
    if not serves:
        return [Foreseen(f"starts {name}", restarts=name)]
    lines: list[str] = host.get_fact(FileContents, path=unit.path)
    before = "\n".join(lines or ())
    changes = [Foreseen(words) for words in argument_changes(before, unit.content)]
    away = (
        f"restarts {name}: it does not serve until its weights are loaded, "
        f"{timeout_s // 60} min at most; then the one from before comes back"
    )
    return [*changes, Foreseen(away, restarts=name)]


def _question(unit: str, container: str, port: int, model: str, address: str) -> Question:
    question: dict[str, str | int] = {
        "unit": unit,
        "container": container,
        "port": port,
        "model": model,
    }
    # A program of an earlier version may be installed, which knows no address.
    if address != LOCAL:
        question["address"] = address
    return question


def _implausible(reference: str, found: Image | None) -> Failure | None:
    if found is None:  # in a plan; :func:`image` has fetched it by the time this runs
        return None
    return engine_image.problem(
        reference, found.entrypoint, found.platform, host.get_fact(Arch) or ""
    )


@operation()
def ready(
    unit: str,
    container: str,
    port: int,
    model: str,
    timeout_s: int,
    address: str = LOCAL,
) -> Commands:
    """Wait until the engine serves the declared model, or say why it does not.

    + unit, container: names of the unit and of its container
    + port: port that it listens on
    + model: name under which it is served
    + timeout_s: deadline in seconds
    + address: where it is asked, on the host itself

    Ends at once when the unit is dead or something else answers on the port. When the engine does
    not get ready, the one that :func:`service` took its place from comes back.
    """
    question = _question(unit, container, port, model, address)
    if host.get_fact(EngineReadiness, **question).state != "ready":
        yield FunctionCommand(_wait_until_ready, (question, timeout_s), {})
        return
    answered(host, Served(model, address, port))
    if host.get_fact(KeptFiles, folder=ENGINE_BEFORE) is not None:
        yield kept_files.drop(ENGINE_BEFORE)  # it serves, so there is no way back any more
    else:
        host.noop(f"{model} is served on port {port}")


def _wait_until_ready(state: State, host: Host, question: Question, timeout_s: int) -> bool:
    waited = wait(host, question, timeout_s)
    if waited.status.state == "ready":
        address = str(question.get("address", LOCAL))
        answered(host, Served(str(question["model"]), address, int(question["port"])))
        return run_now(host, kept_files.drop(ENGINE_BEFORE), "the engine serves").succeeded
    failure = not_ready(question, waited, timeout_s)
    engine_change.fail_and_go_back(host, str(question["unit"]), failure, timeout_s)
    return False
