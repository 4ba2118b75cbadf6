"""Shell commands that install GuideLLM: with pip, or with uv where that knows all that pip would.

uv is three times as fast and reads nothing that pip is configured with (index, find-links,
certificates). So it installs from a folder of wheels, and from an index that is set here, and
whatever else pip is configured for is pip's.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from rocminfra.facts.guidellm import MARKER

# `vision` is needed as soon as a request holds an image.
EXTRAS = "vision"


@dataclass(frozen=True)
class Packages:
    """What is installed, and where from.

    + version: GuideLLM's version
    + torch_version: torch's version
    + torch_index_url: pip index with CPU builds of torch
    + wheels: folder on the host with wheels of everything
    """

    version: str
    torch_version: str
    torch_index_url: str | None = None
    wheels: str | None = None

    @property
    def requirements(self) -> tuple[str, str]:
        """As pip takes them."""
        return f"guidellm[{EXTRAS}]=={self.version}", f"torch=={self.torch_version}"

    @property
    def contents(self) -> str:
        """What the marker of a complete environment says."""
        return " ".join(self.requirements)


def contents(version: str, torch_version: str) -> str:
    """What the marker of an environment with these versions says."""
    return Packages(version, torch_version).contents


def steps(path: str, packages: Packages) -> tuple[str, ...]:
    """Shell commands that make the environment, one after the other.

    + path: folder of the environment
    """
    folder = shlex.quote(path)
    return (
        f"if test -e {folder} && ! test -f {shlex.quote(f'{path}/pyvenv.cfg')} && "
        f'test -n "$(ls -A {folder})"; then echo {folder} is not empty and no virtual environment: '
        f"move it away >&2; exit 1; fi; rm -rf {folder} && mkdir -p {folder} && "
        f"TMPDIR={folder} python3 -m venv {folder}",
        *_installation(path, packages),
        f"{shlex.quote(f'{path}/bin/guidellm')} --version >/dev/null && "
        f"rm -rf {shlex.quote(_cache(path))} && "
        f"printf '%s\\n' {shlex.quote(packages.contents)} > {shlex.quote(f'{path}/{MARKER}')}",
    )


def _installation(path: str, packages: Packages) -> tuple[str, ...]:
    guidellm, torch = map(shlex.quote, packages.requirements)
    pip, uv = _pip(path), _uv(path)
    has_uv = f"test -x {shlex.quote(f'{path}/bin/uv')}"
    if packages.wheels is not None:
        source = f"--no-index --find-links {shlex.quote(packages.wheels)}"
        alone = f"PIP_CONFIG_FILE=/dev/null {pip} --isolated --only-binary :all: {source}"
        return (
            # The folder may be without uv.
            f"{alone} uv 2>/dev/null || true",
            f"if {has_uv}; then {uv} --offline --no-build {source} {torch} {guidellm}; "
            f"else {alone} {torch} {guidellm}; fi",
        )
    if packages.torch_index_url is None:
        return (f"{pip} {torch} {guidellm}",)
    index = shlex.quote(packages.torch_index_url)
    configured = f'test -n "$({shlex.quote(f"{path}/bin/python")} -m pip config list)"'
    return (
        f"{pip} uv || true",
        # That index only, or a CUDA build of several GB may be preferred from elsewhere.
        f"{has_uv} && {uv} --default-index {index} {torch} || {pip} --index-url {index} {torch}",
        f"if {has_uv} && ! {configured}; then {uv} {torch} {guidellm}; "
        f"else {pip} {torch} {guidellm}; fi",
    )


def _pip(path: str) -> str:
    # Not in /tmp, which may be small: room for all of it was looked for at this path.
    # Without byte code: that is half of the time, and what is used is compiled at its first use.
    return (
        f"TMPDIR={shlex.quote(path)} {shlex.quote(f'{path}/bin/python')} -m pip install "
        "--quiet --no-input --no-compile --disable-pip-version-check"
    )


def _uv(path: str) -> str:
    """``uv pip install`` into the environment, by what is said here and nothing else.

    Its cache is beside what it installs, on the same file system: a link takes no room and no time.
    """
    return (
        f"UV_CACHE_DIR={shlex.quote(_cache(path))} UV_PYTHON_DOWNLOADS=never "
        f"{shlex.quote(f'{path}/bin/uv')} pip install --quiet --no-config --no-progress "
        f"--system-certs --python {shlex.quote(f'{path}/bin/python')}"
    )


def _cache(path: str) -> str:
    return f"{path}/.uv"
