"""A model from the Hugging Face hub, fetched before the engine starts."""

from __future__ import annotations

import re
from collections.abc import Callable

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.paths import PathStates
from rocminfra.operations import packages
from rocminfra.operations.commands import Commands

HUB_VERSION = "2.4.0"
ENVIRONMENT = f"/opt/rocminfra/hub-{HUB_VERSION}"
TOKEN_FILE = "/etc/rocminfra/hub.env"
UNIT = "rocminfra-prefetch"


def marker(home: str, repository: str, revision: str | None) -> str:
    """Path of the file that says that a repository is complete in the cache.

    + home: ``HF_HOME``
    + repository: such as ``Qwen/Qwen2-VL-72B-Instruct``
    + revision: commit, tag or branch; None for the default branch
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "--", f"{repository}@{revision or 'main'}")
    return f"{home}/.rocminfra/{name}.complete"


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
    run waits for it. The token is in a root-only file for as long as that unit needs it.
    """
    done = marker(home, repository, revision)
    if done in host.get_fact(PathStates, paths=[done]):
        host.noop(f"{repository} is in {home}")
        return
    program = f"{ENVIRONMENT}/bin/hf"
    if program not in host.get_fact(PathStates, paths=[program]):
        yield from packages.present._inner(["python3-venv"])
        yield StringCommand(
            f"rm -rf {ENVIRONMENT} && python3 -m venv {ENVIRONMENT} &&",
            f"{ENVIRONMENT}/bin/pip install --quiet huggingface_hub=={HUB_VERSION}",
        )
    secret = token()
    lines = [f"HF_HOME={home}", f"HF_XET_CACHE={home}/xet", "HF_XET_HIGH_PERFORMANCE=1"]
    lines += [f"HF_ENDPOINT={endpoint}"] if endpoint is not None else []
    lines += [f"HF_TOKEN={secret}"] if secret is not None else []
    # By standard input: an argument would be in `ps`, an uploaded file in /tmp for a moment.
    yield StringCommand(
        f"install -d -m 0755 /etc/rocminfra && umask 077 && cat > {TOKEN_FILE}",
        _stdin="\n".join(lines) + "\n",
    )
    yield StringCommand(
        f"trap 'rm -f {TOKEN_FILE}' EXIT;",
        # Left over from a run that was cut off: it still downloads, so wait for it.
        f"while systemctl is-active --quiet {UNIT}; do sleep 2; done;",
        f"systemd-run --quiet --collect --wait --pipe --unit={UNIT}",
        f"--property=EnvironmentFile={TOKEN_FILE}",
        *(program, "download", QuoteString(repository)),
        *(("--revision", QuoteString(revision)) if revision is not None else ()),
        *(">/dev/null && mkdir -p", QuoteString(done.rsplit("/", 1)[0])),
        *("&& touch", QuoteString(done)),
    )
