"""GuideLLM in an environment of its own."""

from __future__ import annotations

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.guidellm import MARKER, GuidellmEnvironment
from rocminfra.facts.release import HostRelease, PythonVersion
from rocminfra.failure import Do, Failure, Fault
from rocminfra.operations import programs
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import exclude
from rocminfra.planning.programs import virtual_environments
from rocminfra.planning.releases import GUIDELLM_PYTHON, too_old_for_guidellm

# `vision` is needed as soon as a request holds an image.
EXTRAS = "vision"


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
    wanted = contents(version, torch_version)
    if host.get_fact(GuidellmEnvironment, path=path) == wanted:
        host.noop(f"{path} holds {wanted}")
        return
    yield from programs.ensure(virtual_environments(host.get_fact(PythonVersion)))
    folder = QuoteString(path)
    yield StringCommand(
        *("if test -e", folder, "&& ! test -f", QuoteString(f"{path}/pyvenv.cfg")),
        *('&& test -n "$(ls -A', folder, ')"; then echo', folder),
        "is not empty and no virtual environment: move it away >&2; exit 1; fi;",
        *("rm -rf", folder, "&& python3 -m venv", folder),
    )
    # Without byte code: that is half of the time, and what is used is compiled at its first use.
    pip = (
        QuoteString(f"{path}/bin/python"),
        "-m pip install --quiet --no-input --no-compile --disable-pip-version-check",
    )
    # An index that cannot be reached and one without wheels for this Python are the same to pip.
    hint = StringCommand(
        *("|| { code=$?; echo", QuoteString(f"pip could not install {wanted} for")),
        *('"$(', QuoteString(f"{path}/bin/python"), '--version)" >&2; echo'),
        QuoteString(f"next: on the host: {path}/bin/python -m pip index versions torch"),
        ">&2; exit $code; }",
    )
    torch = QuoteString(f"torch=={torch_version}")
    if torch_index_url is not None:
        # That index only, or pip may prefer a CUDA build of several GB from elsewhere.
        yield StringCommand(*pip, "--index-url", QuoteString(torch_index_url), torch, hint)
    yield StringCommand(*pip, torch, QuoteString(f"guidellm[{EXTRAS}]=={version}"), hint)
    yield StringCommand(
        *(QuoteString(f"{path}/bin/guidellm"), "--version >/dev/null &&"),
        *("printf '%s\\n'", QuoteString(wanted), ">", QuoteString(f"{path}/{MARKER}")),
    )


def contents(version: str, torch_version: str) -> str:
    """What the marker of an environment with these versions says."""
    return f"guidellm[{EXTRAS}]=={version} torch=={torch_version}"
