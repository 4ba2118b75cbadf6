"""GuideLLM in an environment of its own."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.guidellm import MARKER, GuidellmEnvironment
from rocminfra.operations import packages
from rocminfra.operations.commands import Commands

# `vision` is needed as soon as a request holds an image.
EXTRAS = "vision"


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
    wanted = f"guidellm[{EXTRAS}]=={version} torch=={torch_version}"
    if host.get_fact(GuidellmEnvironment, path=path) == wanted:
        host.noop(f"{path} holds {wanted}")
        return
    yield from packages.present._inner(["python3-venv"])
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
    torch = QuoteString(f"torch=={torch_version}")
    if torch_index_url is not None:
        # That index only, or pip may prefer a CUDA build of several GB from elsewhere.
        yield StringCommand(*pip, "--index-url", QuoteString(torch_index_url), torch)
    yield StringCommand(*pip, torch, QuoteString(f"guidellm[{EXTRAS}]=={version}"))
    yield StringCommand(
        *(QuoteString(f"{path}/bin/guidellm"), "--version >/dev/null &&"),
        *("printf '%s\\n'", QuoteString(wanted), ">", QuoteString(f"{path}/{MARKER}")),
    )
