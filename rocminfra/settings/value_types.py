"""Types of single values: what a path, a name, an address or a list of arguments may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from rocminfra.settings import engine_variables, extra_args, foreign_names, host_folders
from rocminfra.settings.addresses import address
from rocminfra.settings.local_paths import absolute, expanded, repository_or_folder
from rocminfra.settings.secret_names import is_refused_variable


def no_token(name: str) -> str:
    # What the hub's tokens begin with; a variable called like one would be shown as its name.
    if name.startswith("hf_") and len(name) > 20:
        raise ValueError("looks like a token itself; name the variable that holds it")
    return name


def usable_arguments(arguments: list[str]) -> list[str]:
    found = extra_args.problems(arguments)
    if found:
        raise ValueError("; ".join(found))
    return arguments


def usable_variables(environment: dict[str, str]) -> dict[str, str]:
    for name in environment:
        if is_refused_variable(name):
            raise ValueError(
                f"the name {name} means a secret, and secrets belong in no settings; leave it out: "
                "the engine listens on 127.0.0.1 and needs no key, and the hub's token comes from "
                "huggingface.token_env"
            )
    engine_variables.check(environment)
    foreign_names.gpu_lists(environment)
    return environment


AbsolutePath = Annotated[str, AfterValidator(host_folders.absolute)]
Address = Annotated[str, AfterValidator(address)]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
# Docker's own rule for container names: at least two characters.
ContainerName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
OneLine = Annotated[str, StringConstraints(pattern=r"^[^\n\r\x00]+$")]
# One line that may be empty: a value, such as that of an environment variable.
OneLineOrEmpty = Annotated[str, StringConstraints(pattern=r"^[^\n\r\x00]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]*)([.](0|[1-9][0-9]*)){2}$")]
Device = Annotated[
    str, StringConstraints(pattern=r"^(auto|/dev(/[A-Za-z0-9_:@%+=#-][^\s/\x00]*)+)$")
]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,11}$")]
MemorySize = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,11}[bkmg]?$")]
RunName = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}Z(-[0-9a-f]{6})?$")]
# A year: what waits longer waits for good, and systemd counts in microseconds.
Seconds = Annotated[int, Field(le=31_536_000)]
# A thousand times what any engine has been asked for.
Count = Annotated[int, Field(le=10**9)]

ImageName = Annotated[OneLine, AfterValidator(foreign_names.image_reference)]
PackageName = Annotated[OneLine, AfterValidator(foreign_names.package_name)]
Revision = Annotated[OneLine, AfterValidator(foreign_names.revision)]
ServedName = Annotated[OneLine, AfterValidator(foreign_names.served_name)]
MountOption = Annotated[OneLine, AfterValidator(foreign_names.mount_option)]
HubUrl = Annotated[OneLine, AfterValidator(foreign_names.hub_url)]
IndexUrl = Annotated[OneLine, AfterValidator(foreign_names.index_url)]

# What to write instead of a text that a pattern refuses.
FORMS = {
    UserName: "must be a login name such as ubuntu",
    ContainerName: "must be two or more letters, digits, '_', '.' or '-', a letter or digit first",
    EnvironmentName: "must be a variable's name such as HF_TOKEN",
    OneLine: "must be one line that is not empty",
    OneLineOrEmpty: "must be one line",
    Version: "must be a version of three numbers such as 0.8.1",
    Device: "must be auto, or a path such as /dev/vdc or /dev/disk/by-id/…",
    Label: "must be 1 to 12 letters, digits, '_', '.' or '-'",
    MemorySize: "must be a size such as 16g (b, k, m or g)",
    RunName: "must be a run's name such as 20260131T093000Z",
}
WORDS_OF_PATTERN = {
    constraint.pattern: words
    for kind, words in FORMS.items()
    for constraint in kind.__metadata__  # type: ignore[attr-defined]
}

# Paths on the operator's machine (:mod:`.local_paths`): with its home folder written out, from the
# root on, or a repository's name instead.
HomePath = Annotated[OneLine, AfterValidator(expanded)]
LocalPath = Annotated[OneLine, AfterValidator(absolute)]
RepositoryOrFolder = Annotated[OneLine, AfterValidator(repository_or_folder)]
