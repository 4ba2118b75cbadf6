"""GuideLLM in an environment of its own."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from pyinfra import host, logger, state
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.guidellm import GuidellmEnvironment
from rocminfra.facts.release import HostRelease, PythonVersion
from rocminfra.facts.wheels import WheelFolder
from rocminfra.failure import Again, Do, Failure, Fault, Next
from rocminfra.operations import fetching, host_job, programs
from rocminfra.operations.commands import Commands
from rocminfra.operations.guidellm_steps import Packages, contents, steps
from rocminfra.operations.host_failures import exclude, record
from rocminfra.planning.programs import virtual_environments
from rocminfra.planning.releases import GUIDELLM_PYTHON, too_old_for_guidellm
from rocminfra.planning.wheels import problems

UNIT = "rocminfra-guidellm"
# Wheels that are missing, named one by one.
MOST_NAMED = 10
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


def gate_wheels(path: str, version: str, torch_version: str, wheels: str | None) -> None:
    """Take the host out of the run, before any change, when a folder of wheels is not enough.

    + path, version, torch_version: as for :func:`environment`; one that is complete is enough
    + wheels: as for :func:`environment`; without it nothing is looked at

    For a task's top level.
    """
    packages = Packages(version, torch_version, wheels=wheels)
    if wheels is None or host.get_fact(GuidellmEnvironment, path=path) == packages.contents:
        return
    look = host.get_fact(WheelFolder, path=wheels)
    found = problems(look, packages.requirements)
    if not found:
        return
    left_out = len(found) - MOST_NAMED
    more = (f"and {left_out} more",) if left_out > 0 else ()
    wanted = shlex.join([*packages.requirements, "uv"])
    exclude(
        state,
        host,
        Failure(
            Fault.WHEELS_UNUSABLE,
            f"{packages.contents} cannot be installed from {wheels}",
            (
                *found[:MOST_NAMED],
                *more,
                *((f"the host has {look.python}",) if look.markers else ()),
            ),
            Again(
                "where there is internet, with the host's Python: python3 -m pip download "
                f"--only-binary :all: --dest wheels {wanted}; copy them to {wheels} on the host; "
                "then"
            ),
        ),
    )


@operation()
def environment(
    path: str,
    version: str,
    torch_version: str,
    torch_index_url: str | None = None,
    wheels: str | None = None,
) -> Commands:
    """Ensure that GuideLLM is installed, pinned, in a virtual environment of its own.

    + path: folder of the environment; whatever half-made one stands there is made again
    + version: GuideLLM's version
    + torch_version: torch's version; GuideLLM only counts tokens with it, so its CPU build will do
    + torch_index_url: pip index with CPU builds of torch; without it pip's own configuration of
      the host decides
    + wheels: folder on the host with wheels of all that is needed; nothing else is asked then

    A marker, written last, says that the environment is complete and what is in it. It is built
    in place: a virtual environment cannot be moved.
    """
    packages = Packages(version, torch_version, torch_index_url, wheels)
    yield from _unless_there(path, packages, _install)


@operation()
def environment_started(
    path: str,
    version: str,
    torch_version: str,
    torch_index_url: str | None = None,
    wheels: str | None = None,
) -> Commands:
    """Begin to install GuideLLM, and do not wait: :func:`environment` does, later on.

    For a playbook that has something else to wait for, such as an image and a model.

    + path, version, torch_version, torch_index_url, wheels: as for :func:`environment`
    """
    if too_old_for_guidellm(host.get_fact(PythonVersion)):
        host.noop("GuideLLM cannot be installed here; the benchmark will say why")
        return
    packages = Packages(version, torch_version, torch_index_url, wheels)
    yield from _unless_there(path, packages, _begin)


def _unless_there(
    path: str, packages: Packages, function: Callable[[State, Host, str, Packages], bool]
) -> Commands:
    """What installs the environment, unless it is complete."""
    if host.get_fact(GuidellmEnvironment, path=path) == packages.contents:
        host.noop(f"{path} holds {packages.contents}")
        return
    yield from programs.ensure(virtual_environments(host.get_fact(PythonVersion)))
    yield FunctionCommand(function, (path, packages), {})


def _job(path: str, packages: Packages) -> host_job.Job:
    """In a unit: a pip that a lost connection leaves behind would write below the next one."""
    script = "\n".join(f"( {step} ) || exit $?" for step in steps(path, packages))
    wanted = packages.contents
    # Another source is another installation: the one of an earlier run is ended then.
    source = " ".join(filter(None, (packages.torch_index_url, packages.wheels)))
    target = f"{path} {wanted} {source}".rstrip()
    return host_job.Job(UNIT, script, f"installation of {wanted}", target)


def _begin(state: State, host: Host, path: str, packages: Packages) -> bool:
    early = fetching.begin(host, _job(path, packages))
    if early is not None:
        # No reason to end the host's run: the benchmark tries again, and says what is wrong.
        said = " ".join(early.log)
        host.log(f"{packages.contents} is not being installed yet: {said}", logger.warning)
    return True


def _install(state: State, host: Host, path: str, packages: Packages) -> bool:
    job = _job(path, packages)
    early = fetching.begin(host, job)
    ended: object = early or host_job.watch(host, job, INSTALL_TIMEOUT_S)
    if isinstance(ended, host_job.Ended) and ended.code == 0:
        host_job.forget(host, UNIT)
        return True
    why = [line for line in getattr(ended, "log", ()) if line.strip()][-20:]
    if not isinstance(ended, host_job.Ended):
        why = ["it does not end" if ended else "the connection was lost; it goes on there"]
    # An index that cannot be reached and one without wheels are the same to pip.
    index = f"on the host: {path}/bin/python -m pip index versions torch; then run this again"
    following: Next = Do(index)
    if packages.wheels is not None:
        following = Again(f"see that the wheels in {packages.wheels} are whole (unzip -tq), then")
    record(
        host,
        Failure(
            Fault.CONNECTION_LOST if ended is None else Fault.PIP_FAILED,
            f"pip could not install {packages.contents}",
            tuple(why),
            following,
        ),
    )
    return False
