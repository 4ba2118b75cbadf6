"""Which images can be the engine's, before anything is stopped for one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rocminfra.failure import ExitCode
from rocminfra.planning.engine_image import problem


@pytest.mark.parametrize(
    "entrypoint",
    [
        ["vllm", "serve"],
        ["/opt/venv/bin/vllm", "serve"],
        ["/usr/bin/tini", "--", "vllm", "serve"],
        ["/opt/start.sh"],  # may end with exec vllm serve "$@"; nobody can tell
    ],
)
def test_images_that_serve_or_may(entrypoint: Sequence[str]) -> None:
    assert problem("vllm:v1", entrypoint, "linux/amd64", "x86_64") is None


@pytest.mark.parametrize(
    "entrypoint",
    [
        [],  # AMD's rocm/vllm
        ["/bin/bash"],
        ["/bin/sh", "-c", "vllm serve"],  # a shell form, which drops the arguments
        ["vllm"],
        ["vllm", "bench"],
        ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        ["/usr/bin/tini", "--"],
    ],
)
def test_images_that_would_take_the_arguments_for_something_else(entrypoint: Sequence[str]) -> None:
    failure = problem("vllm:v1", entrypoint, "linux/amd64", "x86_64")
    assert failure is not None
    assert failure.kind is ExitCode.UNFIT
    assert "does not begin with `vllm serve`" in failure.what
    assert (" ".join(entrypoint) or "none") in failure.why[0]


@pytest.mark.parametrize(
    ("platform", "machine", "fits"),
    [
        ("linux/amd64", "x86_64", True),
        ("linux/arm64", "aarch64", True),
        ("linux/riscv64", "riscv64", True),
        ("", "x86_64", True),
        ("linux/arm64", "x86_64", False),
        ("windows/amd64", "x86_64", False),
    ],
)
def test_the_machine_it_is_made_for(platform: str, machine: str, fits: bool) -> None:
    failure = problem("vllm:v1", ["vllm", "serve"], platform, machine)
    assert (failure is None) == fits
    assert failure is None or platform in failure.what
