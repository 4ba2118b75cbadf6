"""A model from the Hugging Face hub, fetched before the engine starts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra import host_paths
from rocminfra.facts.paths import PathStates
from rocminfra.facts.release import PythonVersion
from rocminfra.operations import programs
from rocminfra.operations.commands import Commands
from rocminfra.operations.foreseen import foresee
from rocminfra.planning.foreseen import Foreseen
from rocminfra.planning.programs import virtual_environments

HUB_VERSION = "2.4.0"
ENVIRONMENT = host_paths.hub_environment(HUB_VERSION)
UNIT = "rocminfra-prefetch"
LOG = host_paths.PREFETCH_LOG
# Its output goes to a file, because the pipe to the operator ends with the connection.
_JOB = (
    'IFS= read -r HF_TOKEN || true; if [ -n "$HF_TOKEN" ]; then export HF_TOKEN; fi; '
    f'exec "$@" >/dev/null 2>{LOG} </dev/null'
)


def marker(home: str, repository: str, revision: str | None) -> str:
    """Path of the file that says that a repository is complete in the cache.

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

    The download runs in a unit of its own, so that a lost connection does not end it; the next
    run waits for it. The token goes there on standard input and is in no file and no argument.
    """
    done = marker(home, repository, revision)
    if done in host.get_fact(PathStates, paths=[done]):
        host.noop(f"{repository} is in {home}")
        return
    foresee(host, Foreseen(f"downloads {repository}", fetches_weights=True))
    program = f"{ENVIRONMENT}/bin/hf"
    if program not in host.get_fact(PathStates, paths=[program]):
        yield from programs.ensure(virtual_environments(host.get_fact(PythonVersion)))
        yield StringCommand(
            f"rm -rf {ENVIRONMENT} && python3 -m venv {ENVIRONMENT} &&",
            f"{ENVIRONMENT}/bin/pip install --quiet huggingface_hub=={HUB_VERSION}",
        )
    variables = {"HF_HOME": home, "HF_XET_CACHE": f"{home}/xet", "HF_XET_HIGH_PERFORMANCE": "1"}
    if endpoint is not None:
        variables["HF_ENDPOINT"] = endpoint
    yield StringCommand(
        # Left over from a run that was cut off: it still downloads, so wait for it.
        f"while systemctl is-active --quiet {UNIT}; do sleep 2; done;",
        f"systemd-run --quiet --collect --wait --pipe --unit={UNIT}",
        *(QuoteString(f"--setenv={name}={value}") for name, value in variables.items()),
        *("sh -c", QuoteString(_JOB), "sh", program, "download", QuoteString(repository)),
        *(("--revision", QuoteString(revision)) if revision is not None else ()),
        f"|| {{ code=$?; tail -n 20 {LOG} >&2; exit $code; }};",
        *("mkdir -p", QuoteString(posixpath.dirname(done)), "&& touch", QuoteString(done)),
        # By standard input: an argument would be in `ps` and the journal, a file outlives a crash.
        _stdin=f"{token() or ''}\n",
    )
