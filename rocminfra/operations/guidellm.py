"""GuideLLM in an environment of its own."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from pyinfra import host, logger, state
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.guidellm import MARKER, GuidellmEnvironment
from rocminfra.facts.release import HostRelease, PythonVersion
from rocminfra.failure import Do, Failure, Fault
from rocminfra.operations import fetching, host_job, programs
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import exclude, record
from rocminfra.planning.programs import virtual_environments
from rocminfra.planning.releases import GUIDELLM_PYTHON, too_old_for_guidellm

# `vision` is needed as soon as a request holds an image.
EXTRAS = "vision"
UNIT = "rocminfra-guidellm"
# Several GB from an index that is slow but answers.
INSTALL_TIMEOUT_S = 3600


def gate(path: str, version: str, torch_version: str) -> None:
    """Take the host out of the run, before any change, when GuideLLM cannot be installed on it.

    + path, version, torch_version: as for :func:`environment`; one that is complete is enough

    For a task's top level.
    """
    python = host.get_fact(PythonVersion)
    if not too_old_for_guidellm(python):
        return
    if host.get_fact(GuidellmEnvironment, path=path) == contents(version, torch_version):
        return
    needed = ".".join(map(str, GUIDELLM_PYTHON))
    release = host.get_fact(HostRelease)
    found = "has none" if python is None else f"has {'.'.join(map(str, python))}"
    exclude(
        state,
        host,
        Failure(
            Fault.PYTHON_TOO_OLD,
            f"GuideLLM {version} needs Python {needed} or newer as python3, and "
            f"{release.name if release else 'the host'} {found}",
            next=Do(
                "benchmark a host with Debian 12, Ubuntu 22.04 or a newer release; "
                "the engine of this one is left as it is"
            ),
        ),
    )


@operation()
def environment(
    path: str, version: str, torch_version: str, torch_index_url: str | None = None
) -> Commands:
    """Ensure that GuideLLM is installed, pinned, in a virtual environment of its own.

    + path: folder of the environment; whatever half-made one stands there is made again
    + version: GuideLLM's version
    + torch_version: torch's version; GuideLLM only counts tokens with it, so its CPU build will do
    + torch_index_url: pip index with CPU builds of torch; without it pip's own configuration of
      the host decides

    A marker, written last, says that the environment is complete and what is in it. It is built
    in place: a virtual environment cannot be moved.
    """
    yield from _unless_there(path, version, torch_version, torch_index_url, _install)


@operation()
def environment_started(
    path: str, version: str, torch_version: str, torch_index_url: str | None = None
) -> Commands:
    """Begin to install GuideLLM, and do not wait: :func:`environment` does, later on.

    For a playbook that has something else to wait for, such as an image and a model.

    + path, version, torch_version, torch_index_url: as for :func:`environment`
    """
    if too_old_for_guidellm(host.get_fact(PythonVersion)):
        host.noop("GuideLLM cannot be installed here; the benchmark will say why")
        return
    yield from _unless_there(path, version, torch_version, torch_index_url, _begin)


def _unless_there(
    path: str,
    version: str,
    torch_version: str,
    torch_index_url: str | None,
    function: Callable[[State, Host, str, str, tuple[str, ...]], bool],
) -> Commands:
    """What installs the environment, unless it is complete."""
    wanted = contents(version, torch_version)
    if host.get_fact(GuidellmEnvironment, path=path) == wanted:
        host.noop(f"{path} holds {wanted}")
        return
    yield from programs.ensure(virtual_environments(host.get_fact(PythonVersion)))
    steps = _steps(path, version, torch_version, torch_index_url)
    yield FunctionCommand(function, (path, wanted, steps), {})


def _steps(
    path: str, version: str, torch_version: str, torch_index_url: str | None
) -> tuple[str, ...]:
    """Shell commands that make the environment, one after the other."""
    folder = shlex.quote(path)
    # Without byte code: that is half of the time, and what is used is compiled at its first use.
    pip = f"{shlex.quote(f'{path}/bin/python')} -m pip install --quiet --no-input --no-compile "
    pip += "--disable-pip-version-check"
    torch = shlex.quote(f"torch=={torch_version}")
    guidellm = shlex.quote(f"guidellm[{EXTRAS}]=={version}")
    wanted = shlex.quote(contents(version, torch_version))
    steps = [
        f"if test -e {folder} && ! test -f {shlex.quote(f'{path}/pyvenv.cfg')} && "
        f'test -n "$(ls -A {folder})"; then echo {folder} is not empty and no virtual environment: '
        f"move it away >&2; exit 1; fi; rm -rf {folder} && python3 -m venv {folder}"
    ]
    if torch_index_url is not None:
        # That index only, or pip may prefer a CUDA build of several GB from elsewhere.
        steps.append(f"{pip} --index-url {shlex.quote(torch_index_url)} {torch}")
    steps.append(f"{pip} {torch} {guidellm}")
    steps.append(
        f"{shlex.quote(f'{path}/bin/guidellm')} --version >/dev/null && "
        f"printf '%s\\n' {wanted} > {shlex.quote(f'{path}/{MARKER}')}"
    )
    return tuple(steps)


def _job(path: str, wanted: str, steps: tuple[str, ...]) -> host_job.Job:
    """In a unit: a pip that a lost connection leaves behind would write below the next one."""
    script = "\n".join(f"( {step} ) || exit $?" for step in steps)
    return host_job.Job(UNIT, script, f"installation of {wanted}", f"{path} {wanted}")


def _begin(state: State, host: Host, path: str, wanted: str, steps: tuple[str, ...]) -> bool:
    early = fetching.begin(host, _job(path, wanted, steps))
    if early is not None:
        # No reason to end the host's run: the benchmark tries again, and says what is wrong.
        host.log(f"{wanted} is not being installed yet: {' '.join(early.log)}", logger.warning)
    return True


def _install(state: State, host: Host, path: str, wanted: str, steps: tuple[str, ...]) -> bool:
    job = _job(path, wanted, steps)
    early = fetching.begin(host, job)
    ended: object = early or host_job.watch(host, job, INSTALL_TIMEOUT_S)
    if isinstance(ended, host_job.Ended) and ended.code == 0:
        host_job.forget(host, UNIT)
        return True
    why = [line for line in getattr(ended, "log", ()) if line.strip()][-20:]
    if not isinstance(ended, host_job.Ended):
        why = ["it does not end" if ended else "the connection was lost; it goes on there"]
    record(
        host,
        Failure(
            Fault.CONNECTION_LOST if ended is None else Fault.PIP_FAILED,
            f"pip could not install {wanted}",
            tuple(why),
            # An index that cannot be reached and one without wheels are the same to pip.
            Do(f"on the host: {path}/bin/python -m pip index versions torch; then run this again"),
        ),
    )
    return False


def contents(version: str, torch_version: str) -> str:
    """What the marker of an environment with these versions says."""
    return f"guidellm[{EXTRAS}]=={version} torch=={torch_version}"
