"""Docker, its images and its containers, as the daemon says.

The daemon is asked over its socket, by a program that is sent along; where that cannot be the
whole truth, the ``docker`` program is asked, which says the same and takes ten times as long.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, StringCommand

from rocminfra.host.programs import call


@dataclass(frozen=True)
class Image:
    """An image on the host.

    + id: ``sha256:…`` of its configuration
    + repo_digests: ``name@sha256:…``, empty when it came from an archive
    + entrypoint: words that come before the arguments of a container
    + platform: operating system and architecture, such as ``linux/amd64``; empty if unknown
    """

    id: str
    repo_digests: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    platform: str = ""

    @property
    def pinned(self) -> str:
        """A reference that can only ever mean this image."""
        return self.repo_digests[0] if self.repo_digests else self.id


@dataclass(frozen=True)
class Container:
    """A container on the host.

    + id: its full id
    + running: whether its process runs
    + started_at: Docker's own ``StartedAt``
    + labels: name to value
    + image_id: ``sha256:…`` of the image it runs
    """

    id: str
    running: bool
    started_at: str
    labels: tuple[tuple[str, str], ...]
    image_id: str

    def label(self, name: str) -> str | None:
        """Value of a label, or None."""
        return dict(self.labels).get(name)


@dataclass(frozen=True)
class NoAnswer:
    """Docker's service runs and its daemon does not answer: what it has is not known."""


class DockerInstalled(FactBase[str | None]):
    """Path of the ``docker`` program, or None."""

    def command(self) -> str:
        return "command -v docker || true"

    def process(self, output: list[str]) -> str | None:
        return output[0].strip() or None


class DockerRoot(FactBase[str | NoAnswer | None]):
    """Data-root of the running daemon, or None when none runs."""

    def command(self) -> StringCommand:
        return _asked("root", "timeout 30 docker info --format '{{.DockerRootDir}}'", _IS_OFF)

    def process(self, output: list[str]) -> str | NoAnswer | None:
        if output[-1] == _UNANSWERED:
            return NoAnswer()
        return output[0].strip() or None


class DockerContents(FactBase[tuple[str, ...]]):
    """Containers, running or not, and volumes of the daemon, a line each."""

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def command(self) -> str:
        return (
            "! command -v docker >/dev/null || {"
            " docker ps --all --format 'container {{.Names}} ({{.Image}}, {{.Status}})';"
            " docker volume ls --format 'volume {{.Name}}'; }"
        )

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)


class DockerContainerdStore(FactBase[bool]):
    """Whether the daemon keeps images and containers in containerd's store."""

    def command(self) -> str:
        asked = "timeout 30 docker info --format '{{json .DriverStatus}}'"
        return f"! command -v docker >/dev/null || {asked} 2>/dev/null || true"

    def process(self, output: list[str]) -> bool:
        return any("io.containerd.snapshotter" in line for line in output)


class DockerImage(FactBase[Image | NoAnswer | None]):
    """An image by reference, or None when the host does not have it."""

    def command(self, reference: str) -> StringCommand:
        return _inspect("image", reference)

    def process(self, output: list[str]) -> Image | NoAnswer | None:
        if output[-1] == _UNANSWERED:
            return NoAnswer()
        found = _first("\n".join(output))
        if found is None:
            return None
        system, architecture = found.get("Os") or "", found.get("Architecture") or ""
        return Image(
            found["Id"],
            tuple(found.get("RepoDigests") or ()),
            entrypoint=tuple((found.get("Config") or {}).get("Entrypoint") or ()),
            platform=f"{system}/{architecture}" if system and architecture else "",
        )


class DockerContainer(FactBase[Container | NoAnswer | None]):
    """A container by name, or None when there is none."""

    def command(self, container: str) -> StringCommand:
        return _inspect("container", container)

    def process(self, output: list[str]) -> Container | NoAnswer | None:
        if output[-1] == _UNANSWERED:
            return NoAnswer()
        found = _first("\n".join(output))
        if found is None:
            return None
        labels = found["Config"].get("Labels") or {}
        return Container(
            id=found["Id"],
            running=bool(found["State"]["Running"]),
            started_at=found["State"]["StartedAt"],
            labels=tuple(sorted(labels.items())),
            image_id=found["Image"],
        )


def _inspect(kind: str, name: str) -> StringCommand:
    # `docker inspect` of something missing prints [] and fails; so it does without a daemon.
    inspect = f"timeout 30 docker inspect --type {kind} {shlex.quote(name)}"
    there_is_none = "timeout 30 docker version >/dev/null"
    return _asked(kind, inspect, there_is_none, _IS_OFF, arguments=(name,))


_IS_OFF = "! systemctl is-active --quiet docker.service"
_UNANSWERED = "unanswered"


def _asked(what: str, *otherwise: str, arguments: tuple[str, ...] = ()) -> StringCommand:
    others = ["! command -v docker >/dev/null", *(f"{words} 2>/dev/null" for words in otherwise)]
    asked = (call("docker_api", what, *arguments), *others, f"echo {_UNANSWERED}")
    return StringCommand(" || ".join(asked))


def _first(text: str) -> Any:
    documents = json.loads(text) if text.strip() else []
    return documents[0] if documents else None
