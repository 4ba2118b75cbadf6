"""From an engine that serves to another one, and back when that one does not.

What serves is given up only for something plausible: the image was looked at, and its own parser
has taken the arguments. Unit, environment and question of the engine that serves are kept until the
next one does; when that fails for good, they come back and are started again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace

from pyinfra import logger
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.docker import Container, DockerContainer
from rocminfra.facts.engine import EngineReadiness
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.kept_files import Kept, KeptFiles
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.failure import Again, Argument, Do, Failure, Fault
from rocminfra.host.programs import source
from rocminfra.host_paths import ENGINE_BEFORE, ENGINE_QUESTION
from rocminfra.operations import kept_files
from rocminfra.operations.commands import Commands, systemctl
from rocminfra.operations.engine_readiness import Question, wait
from rocminfra.operations.host_failures import record
from rocminfra.operations.run_now import run_now
from rocminfra.planning import engine_image
from rocminfra.planning.engine_command import CONFIG_LABEL

# The program inside ends by itself before that.
_CHECK_TIMEOUT_S = 120
_REFUSED, _UNFIT = 42, 43
# What a question holds, but for the address.
_ASKED = {"unit", "container", "port", "model"}
# The interpreter that the image's own vllm program names, which may be of an environment.
_IN_IMAGE = (
    f'command -v "$1" >/dev/null || {{ echo "$1: there is no such program in it" >&2; '
    f"exit {_UNFIT}; }}; shift; "
    'python=$(head -n 1 "$(command -v vllm)" | cut -c 3- | cut -d " " -f 1); '
    'case $python in *python*) ;; *) python=python3 ;; esac; exec "$python" -c "$0" "$@"'
)


def arguments_taken(
    state: State,
    host: Host,
    image: str,
    arguments: Sequence[str],
    environment: str,
    program: str = "vllm",
    reference: str = "",
) -> bool:
    """Ask the image's own parser about the arguments, in a container that is not the service.

    + image: pinned reference
    + arguments: of ``vllm serve``
    + environment: text of the environment file
    + program: that the image begins with
    + reference: the image as it was asked for

    An image without that program, or with a PyTorch that is not for ROCm, is refused as well. One
    that cannot answer, or takes too long, does not stop the run.
    """
    run = [
        *("timeout", "-k", "5", str(_CHECK_TIMEOUT_S), "docker", "run", "--rm", "--init"),
        *("--pull=never", "--network=none", "--log-driver=none"),
        *("--label=rocminfra.check=arguments", "--env-file=/dev/stdin", "--entrypoint=sh"),
        *(image, "-c", _IN_IMAGE, source("serve_arguments"), program, *arguments),
    ]
    answer = run_now(
        host,
        # Through a pipe, which can be opened by a name; what a connection gives may not be one.
        f"cat | {shlex.join(run)}; code=$?; echo $code; "
        f"case $code in {_REFUSED}|{_UNFIT}) false;; esac",
        "the image is asked whether it takes these arguments",
        stdin=environment,
    )
    if answer.succeeded:
        return True
    if answer.out[-1:] == (str(_UNFIT),):
        record(host, engine_image.cannot_serve(reference or image, answer.err[-3:]))
        return False
    failure = Failure(
        Fault.ENGINE_ARGUMENTS_REFUSED,
        "the image's vLLM does not take these arguments; nothing was changed, and an engine that "
        "served before serves on",
        answer.err[-10:],
        Do("mend ", Argument("engine", "arguments"), ", or the setting that vLLM names"),
    )
    record(host, failure)
    return False


def keep_serving(
    host: Host, question: Question, container: Container | None, paths: Sequence[str]
) -> Commands:
    """Keep what the running engine was started with, as far as it is known.

    + question: how the new engine will be asked
    + container: the one of the new engine's name, if there is one
    + paths: unit and environment file, the unit first

    What runs is told by the container's label; the files belong to it when the unit holds that
    label. What an earlier run has kept stays until an engine after it has served.
    """
    before = _asked_like(_text(host, ENGINE_QUESTION), question)
    if before["container"] != question["container"]:
        found = host.get_fact(DockerContainer, container=str(before["container"]))
        container = found if isinstance(found, Container) else None
    label = container.label(CONFIG_LABEL) if container is not None and container.running else None
    kept = host.get_fact(KeptFiles, folder=ENGINE_BEFORE)
    if label is None:
        yield from _keep_unknown(host, str(before["unit"]), kept, paths)
        return
    is_other = kept is not None and kept.label != label
    if is_other and host.get_fact(EngineReadiness, **before).state != "ready":
        return
    if label in _text(host, paths[0]):
        files = [*paths, ENGINE_QUESTION]
        yield kept_files.keep(ENGINE_BEFORE, label, files, note=json.dumps(dict(before)))
    elif is_other:
        yield kept_files.drop(ENGINE_BEFORE)


def _keep_unknown(host: Host, unit: str, kept: Kept | None, paths: Sequence[str]) -> Commands:
    """Keep a unit that runs something which nothing here is known of, such as one made by hand."""
    found = host.get_fact(SystemdUnit, unit=unit)
    if kept is None and found is not None and found.active_state == "active":
        files = [*paths, ENGINE_QUESTION]
        yield kept_files.keep(ENGINE_BEFORE, f"{unit} {found.invocation_id}", files)


def _text(host: Host, path: str) -> str:
    lines: list[str] = host.get_fact(FileContents, path=path)
    return "\n".join(lines or ())


def _asked_like(text: str, otherwise: Question) -> Question:
    """The question that a file of ours holds; ``otherwise`` when it holds none."""
    try:
        found = json.loads(text)
    except ValueError:
        return otherwise
    # An address is in it only where it is not the usual one.
    is_whole = isinstance(found, dict) and set(found) - {"address"} == _ASKED
    return found if is_whole else otherwise


def started(state: State, host: Host, unit: str, timeout_s: int) -> bool:
    """Restart the unit; back to the engine from before when it does not start."""
    # A unit that has used up its start limit does not start, whatever has been mended since.
    command = StringCommand(
        "systemctl reset-failed", QuoteString(unit), "2>/dev/null;", systemctl("restart", unit)
    )
    answer = run_now(host, command, f"{unit} starts")
    if answer.succeeded:
        return True
    failure = Failure(
        Fault.ENGINE_DOES_NOT_START,
        f"{unit} does not start",
        answer.err,
        Again(f"mend what it says (on the host: journalctl -u {unit}), then"),
    )
    fail_and_go_back(host, unit, failure, timeout_s)
    return False


def fail_and_go_back(host: Host, unit: str, failure: Failure, timeout_s: int) -> None:
    """Fail, with the engine from before back in its place and serving, if there was one.

    + failure: of the new engine
    + timeout_s: how long the one from before may take, in seconds
    """
    kept = host.get_fact(KeptFiles, folder=ENGINE_BEFORE)
    if kept is None:
        record(host, failure)
        return
    host.log(f"{failure.what}; the previous engine is started again", logger.warning)
    for line in failure.why:
        host.log(f"    {line}", logger.info)
    name = shlex.quote(unit)
    steps = (
        kept_files.restore(ENGINE_BEFORE).get_raw_value(),
        "systemctl daemon-reload",
        f"{{ systemctl reset-failed {name} 2>/dev/null || true; }}",
        systemctl("restart", unit).get_raw_value(),
    )
    # Stopped while systemd still knows it, because the one from before may have another name.
    answer = run_now(
        host, f"systemctl stop {name}; {' && '.join(steps)}", "the engine from before starts"
    )
    if not answer.succeeded:
        what = f"{failure.what}, and the engine from before does not start either"
        record(host, replace(failure, what=what, why=(*failure.why, *answer.err[-10:])))
        return
    if not kept.note:
        run_now(host, kept_files.drop(ENGINE_BEFORE), "the unit from before is started")
        record(host, replace(failure, what=f"{failure.what}; {unit} as it was before is back"))
        return
    question: Question = json.loads(kept.note)
    waited = wait(host, question, timeout_s)
    if waited.status.state != "ready":
        what = (
            f"{failure.what}, and the engine from before was started again and does not serve "
            f"{question['model']} either: {waited.status.reason}"
        )
        record(host, replace(failure, what=what, why=(*failure.why, *waited.status.log)))
        return
    run_now(host, kept_files.drop(ENGINE_BEFORE), "the engine from before serves")
    back = f"the engine from before is back and serves {question['model']}"
    record(host, replace(failure, what=f"{failure.what}; {back}"))
