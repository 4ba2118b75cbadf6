"""A model from the Hugging Face hub, fetched before the engine starts."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra import host_paths
from rocminfra.facts.hub_model import HubModelProblem
from rocminfra.facts.paths import PathStates
from rocminfra.facts.release import PythonVersion
from rocminfra.failure import Do, Failure, Fault
from rocminfra.operations import fetching, host_job, programs
from rocminfra.operations.commands import Commands
from rocminfra.operations.foreseen import foresee
from rocminfra.operations.host_failures import record
from rocminfra.planning.foreseen import Foreseen
from rocminfra.planning.programs import virtual_environments

HUB_VERSION = "2.4.0"
ENVIRONMENT = host_paths.hub_environment(HUB_VERSION)
UNIT = "rocminfra-prefetch"


def marker(home: str, repository: str, revision: str | None) -> str:
    """Path of the file that says what a complete repository in the cache consists of.

    It stands beside the cache, not in it: the engine's container may write the cache.

    + home: ``HF_HOME``
    + repository: such as ``Qwen/Qwen2-VL-72B-Instruct``
    + revision: commit, tag or branch; None for the default branch
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "--", f"{repository}@{revision or 'main'}")
    return f"{posixpath.dirname(home)}/.rocminfra-hub/{name}.complete"


@operation()
def fetched(
    repository: str,
    home: str,
    revision: str | None = None,
    endpoint: str | None = None,
    token: Callable[[], str | None] = lambda: None,
) -> Commands:
    """Ensure that a model of the hub is in the cache, whole.

    + repository: name on the hub
    + home: ``HF_HOME`` on the host
    + revision: commit, tag or branch
    + endpoint: a mirror of the hub
    + token: gives the access token, or None; asked only when something is to be fetched

    Whole is what the marker says, while each file that it names is there with its size. Before the
    first byte the hub is asked what the files take, and refused when the disk has no room for them.

    The download runs in a unit of its own, so that a lost connection does not end it; the next
    run waits for it, or ends it when another model is wanted by then. The token goes there from
    pipe to pipe and is in no file and no argument.
    """
    done = marker(home, repository, revision)
    problem = host.get_fact(HubModelProblem, marker=done)
    if not problem:
        yield from fetching.given_up(UNIT)
        host.noop(f"{repository} is in {home}")
        return
    foresee(host, Foreseen(f"downloads {repository}", fetches_weights=True))
    if done in host.get_fact(PathStates, paths=[done]):
        host.log(f"{repository} is fetched again: {problem}", logger.info)
    program = f"{ENVIRONMENT}/bin/hf"
    if program not in host.get_fact(PathStates, paths=[program]):
        yield from programs.ensure(virtual_environments(host.get_fact(PythonVersion)))
    yield from fetching.programs()
    yield FunctionCommand(_fetch, (job(repository, home, revision, endpoint), token), {})


@operation()
def none_wanted() -> Commands:
    """Ensure that no model of the hub is being downloaded; for a host that serves another one."""
    yield from fetching.given_up(UNIT)


def job(repository: str, home: str, revision: str | None, endpoint: str | None) -> host_job.Job:
    """The download, as a job of the host."""
    program = f"{ENVIRONMENT}/bin/hf"
    words = [repository, "--home", home, "--program", program]
    words += ["--marker", marker(home, repository, revision)]
    words += ["--revision", revision] if revision is not None else []
    words += ["--endpoint", endpoint] if endpoint is not None else []
    script = (
        # Before pip, which takes half a minute.
        f"{fetching.call('model', [*words, '--look'])} || exit $?; "
        f"if ! test -x {program}; then rm -rf {ENVIRONMENT} && python3 -m venv {ENVIRONMENT} && "
        f"{ENVIRONMENT}/bin/pip install --quiet --disable-pip-version-check "
        f"huggingface_hub=={HUB_VERSION} || exit 3; fi; "
        f"export HF_XET_CACHE={shlex.quote(f'{home}/xet')} HF_XET_HIGH_PERFORMANCE=1; "
        f"exec {fetching.call('model', words)}"
    )
    target = " ".join([f"{repository}@{revision or 'main'}", home, endpoint or ""]).strip()
    return host_job.Job(UNIT, script, f"download of {repository}", target)


def _fetch(state: State, host: Host, wanted: host_job.Job, token: Callable[[], str | None]) -> bool:
    try:
        secret = token()
    except OSError as error:
        what = f"the file with the hub's token cannot be read: {error.strerror or error}"
        record(
            host, Failure(Fault.SETTINGS_INVALID, what, next=Do("name a file that you may read"))
        )
        return False
    line = f"export HF_TOKEN={shlex.quote(secret)}" if secret else ""
    failure = fetching.fetch(host, wanted, line)
    if failure is not None:
        record(host, failure)
    return failure is None
