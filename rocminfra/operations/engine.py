"""Life cycle of the engine: image, unit, readiness."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Sequence

from pyinfra import host, logger
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
from rocminfra.operations import engine_change, fetching, host_files, host_job, kept_files
from rocminfra.operations.commands import Commands
from rocminfra.operations.engine_readiness import Question, not_ready, wait
from rocminfra.operations.foreseen import foresee, is_wanted
from rocminfra.operations.host_failures import fail, record
from rocminfra.operations.run_now import run_now
from rocminfra.operations.serving import answered
from rocminfra.planning import engine_image
from rocminfra.planning.docker.configuration import UNANSWERED
from rocminfra.planning.engine_command import CONFIG_LABEL, HASH_PLACEHOLDER, config_hash
from rocminfra.planning.foreseen import Foreseen, argument_changes
from rocminfra.planning.serving import Served

# One name for every image: what was begun for another one is ended, not waited for.
IMAGE_UNIT = "rocminfra-image"
USUAL_IMAGE_BYTES = 22_000_000_000


@operation()
def image_started(reference: str, archive: str | None = None) -> Commands:
    """Begin to fetch the engine's image, and do not wait: :func:`image` does, later on.

    For a playbook that has something else to wait for, such as a model's download.

    + reference: name and tag, or ``name@sha256:…``
    + archive: ``docker save`` archive on the host to load it from; None pulls it
    """
    yield from _unless_there(reference, archive, _begin)


@operation()
def image(reference: str, archive: str | None = None) -> Commands:
    """Ensure that the engine's image is on the host.

    + reference: name and tag, or ``name@sha256:…``
    + archive: ``docker save`` archive on the host to load it from; None pulls it

    Waits for a fetch that :func:`image_started` began, in this run or in one that was cut off.
    When that one failed, it is tried again here, where its error is seen. One of another image is
    ended. Refused before the first byte when the disk has no room for it.
    """
    yield from _unless_there(reference, archive, _fetched)


def _unless_there(
    reference: str, archive: str | None, function: Callable[[State, Host, host_job.Job], bool]
) -> Commands:
    """What fetches the image, unless it is on the host, or nobody can tell."""
    found = host.get_fact(DockerImage, reference=reference)
    if isinstance(found, NoAnswer):
        yield fail(UNANSWERED)
    elif found is not None:
        yield from fetching.given_up(IMAGE_UNIT)
        host.noop(f"image {reference} is on the host")
    else:
        if function is _fetched:  # and not for the head start as well
            foresee(host, _download(reference, archive))
        yield from fetching.programs()
        yield FunctionCommand(function, (image_job(reference, archive),), {})


def _download(reference: str, archive: str | None) -> Foreseen:
    if archive is not None:
        return Foreseen(f"loads {reference} from {archive}")
    # AMD's images of vLLM are about that large (github.com/ROCm/vllm/issues/363); a registry tells
    # the size only of layers.
    words = f"pulls {reference}, usually {USUAL_IMAGE_BYTES / 1e9:.0f} GB"
    return Foreseen(words, download_bytes=USUAL_IMAGE_BYTES, is_estimate=True)


def image_job(reference: str, archive: str | None) -> host_job.Job:
    """The fetch of an image, as a job of the host."""
    words = [reference, *(("--archive", archive) if archive is not None else ())]
    doing = f"pull of {reference}" if archive is None else f"load of {archive}"
    script = f"exec {fetching.call('image', words)}"
    return host_job.Job(IMAGE_UNIT, script, doing, " ".join(words))


def _begin(state: State, host: Host, job: host_job.Job) -> bool:
    early = fetching.begin(host, job)
    if early is not None:  # only a head start: the engine's own operation tries again
        host.log("the image is fetched later", logger.info)
    return True


def _fetched(state: State, host: Host, job: host_job.Job) -> bool:
    failure = fetching.fetch(host, job)
    if failure is not None:
        record(host, failure)
    return failure is None


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
    # Before the first command: a plan is made only as far as that.
    if is_wanted(host) and not (is_up and is_right):
        foresee(host, *_foreseen(unit_file, running is not None and is_up, timeout_s))
    file_changes = list(host_files.present._inner([environment_file, question_file, unit_file]))
    if not (is_up and is_right):
        refused = _implausible(reference, found)
        if refused is not None:
            yield fail(refused)
            return
        begins = engine_image.program(found.entrypoint if found is not None else ())
        asked = (pinned, tuple(arguments), environment_file.content, begins, reference)
        yield FunctionCommand(engine_change.arguments_taken, asked, {})
        paths = [unit_file.path, environment_file.path]
        yield from engine_change.keep_serving(host, question, running, paths)
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
