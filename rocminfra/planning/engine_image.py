"""Whether an image can be the engine's, from what Docker says of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from rocminfra.failure import Argument, Do, Failure, Fault

# What `uname -m` says, and how images call it (OCI image specification, GOARCH).
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Programs that start the one after them.
_STARTERS = frozenset({"tini", "dumb-init", "catatonit", "env", "--", "-g", "-s"})
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})


def problem(
    reference: str, entrypoint: Sequence[str], platform: str, machine: str
) -> Failure | None:
    """Why a container of this image could not serve, or None; also when that cannot be known.

    + reference: as it was asked for
    + entrypoint: of the image; what the engine is given are arguments, which follow it
    + platform: of the image, such as ``linux/amd64``; empty if unknown
    + machine: of the host, as ``uname -m`` says
    """
    wanted = f"linux/{_ARCHITECTURES.get(machine, machine)}"
    if platform and platform != wanted:
        return _failure(
            f"the image {reference} is made for {platform} and this host is {wanted}", ()
        )
    if _serves(entrypoint):
        return None
    words = " ".join(entrypoint) or "none"
    return _failure(
        f"the image {reference} does not begin with `vllm serve`, so it would take the engine's "
        "arguments for something else",
        (f"its entrypoint: {words}",),
    )


def cannot_serve(reference: str, why: tuple[str, ...]) -> Failure:
    """An image that was looked into, and lacks what an engine on AMD's GPUs needs.

    + reference: the image
    + why: what was found in it
    """
    return _failure(f"the image {reference} cannot serve here", why)


def program(entrypoint: Sequence[str]) -> str:
    """The program that an image begins with; the usual one when that is not known."""
    return entrypoint[0] if entrypoint else "vllm"


def _serves(entrypoint: Sequence[str]) -> bool:
    """Whether arguments go to ``vllm serve``; a script of the image's own may well do that."""
    words = [PurePosixPath(word).name for word in entrypoint]
    while words and words[0] in _STARTERS:
        words.pop(0)
    if not words or words[0] in _SHELLS:
        return False
    if words[0] == "vllm":
        return words[1:2] == ["serve"]
    # `python3 -m vllm.entrypoints.openai.api_server` takes the model as an option only.
    return not words[0].startswith("python")


def _failure(what: str, why: tuple[str, ...]) -> Failure:
    return Failure(
        Fault.ENGINE_IMAGE_UNFIT,
        f"{what}; nothing was changed, and an engine that served before serves on",
        why,
        Do(
            "set ",
            Argument("engine", "reference"),
            " to an image of vLLM for ROCm, such as vllm/vllm-openai-rocm:v0.20.1",
        ),
    )
