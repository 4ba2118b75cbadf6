"""Types of single values: what a path, a name, an address or a list of arguments may be."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

from rocminfra.settings import extra_args
from rocminfra.settings.addresses import address
from rocminfra.settings.local_paths import absolute, expanded, repository_or_folder
from rocminfra.settings.secret_names import is_refused_variable


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("must be an absolute path without '..'")
    if any(char in path for char in "\n\r\0"):
        raise ValueError("must not contain control characters")
    return path.rstrip("/") or "/"


def no_token(name: str) -> str:
    # What the hub's tokens begin with; a variable called like one would be shown as its name.
    if name.startswith("hf_") and len(name) > 20:
        raise ValueError("looks like a token itself; name the variable that holds it")
    return name


def hub_url(url: str) -> str:
    """The token goes to this address, so it goes there over TLS, or stays on the host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise ValueError("must be a URL such as https://hub.example.org") from None
    if parts.username is not None or "@" in parts.netloc:
        raise ValueError("must hold no user name or password; secrets belong in no settings")
    if parts.scheme not in ("http", "https") or not host or "\\" in url or " " in url:
        raise ValueError("must be a URL such as https://hub.example.org")
    if parts.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError(
            f"must begin with https://; http:// would show the token on its way to {host}"
        )
    return url


def usable_arguments(arguments: list[str]) -> list[str]:
    found = extra_args.problems(arguments)
    if found:
        raise ValueError("; ".join(found))
    return arguments


def no_secret_variables(environment: dict[str, str]) -> dict[str, str]:
    for name in environment:
        if is_refused_variable(name):
            raise ValueError(
                f"the name {name} means a secret, and secrets belong in no settings; leave it out: "
                "the engine listens on 127.0.0.1 and needs no key, and the hub's token comes from "
                "huggingface.token_env"
            )
    return environment


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Address = Annotated[str, AfterValidator(address)]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
# Docker's own rule for container names: at least two characters.
ContainerName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
OneLine = Annotated[str, StringConstraints(pattern=r"^[^\n\r\x00]+$")]
# One line that may be empty: a value, such as that of an environment variable.
OneLineOrEmpty = Annotated[str, StringConstraints(pattern=r"^[^\n\r\x00]*$")]

# Paths on the operator's machine (:mod:`.local_paths`): with its home folder written out, from the
# root on, or a repository's name instead.
HomePath = Annotated[OneLine, AfterValidator(expanded)]
LocalPath = Annotated[OneLine, AfterValidator(absolute)]
RepositoryOrFolder = Annotated[OneLine, AfterValidator(repository_or_folder)]
