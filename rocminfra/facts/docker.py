"""Docker, its images and its containers, as the ``docker`` program reports them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from pyinfra.api import StringCommand

from rocminfra.facts.host_fact import HostFact


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


class DockerInstalled(HostFact[str | None]):
    """Path of the ``docker`` program, or None."""

    def command(self) -> str:
        return "command -v docker || true"

    def process(self, output: list[str]) -> str | None:
        return output[0].strip() or None


class DockerRoot(HostFact[str | NoAnswer | None]):
    """Data-root of the running daemon, or None when none runs."""

    def command(self) -> StringCommand:
        return _asked("timeout 30 docker info --format '{{.DockerRootDir}}'")

    def process(self, output: list[str]) -> str | NoAnswer | None:
        if output[-1] == _UNANSWERED:
            return NoAnswer()
        # A client may warn first, and prints `<no value>` for what its daemon does not say.
        return next((line.strip() for line in reversed(output) if line.startswith("/")), None)


class DockerContents(HostFact[tuple[str, ...]]):
    """Containers, running or not, volumes and a swarm of the daemon, a line each."""

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def command(self) -> str:
        return (
            f"! command -v docker >/dev/null || {_IS_OFF} || {{"
            " docker ps --all --format 'container {{.Names}} ({{.Image}}, {{.Status}})';"
            " timeout 30 docker info --format"
            " '{{if .Swarm.NodeID}}membership in a swarm{{end}}' 2>/dev/null | grep . || true;"
            " docker volume ls --format 'volume {{.Name}}'; }"
        )

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)


class DockerOutlivers(HostFact[tuple[str, ...]]):
    """Containers that run on while the daemon is restarted (live-restore), by name."""

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def command(self) -> str:
        is_on = "timeout 30 docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null"
        return f"test \"$({is_on})\" != true || docker ps --format '{{{{.Names}}}}'"

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)


class DockerContainerdStore(HostFact[bool]):
    """Whether the daemon keeps images and containers in containerd's store."""

    def command(self) -> str:
        asked = "timeout 30 docker info --format '{{json .DriverStatus}}'"
        return f"! command -v docker >/dev/null || {_IS_OFF} || {asked} 2>/dev/null || true"

    def process(self, output: list[str]) -> bool:
        return any("io.containerd.snapshotter" in line for line in output)


class DockerImage(HostFact[Image | NoAnswer | None]):
    """An image by reference, or None when the host does not have it."""

    def command(self, reference: str) -> StringCommand:
        return _inspect(
            "image",
            reference,
            '{"id":{{json .Id}},"digests":{{json .RepoDigests}},"os":{{json .Os}},'
            '"architecture":{{json .Architecture}},"entrypoint":'
            "{{if .Config}}{{json .Config.Entrypoint}}{{else}}null{{end}}}",
        )

    def process(self, output: list[str]) -> Image | NoAnswer | None:
        if output[-1] == _UNANSWERED:
            return NoAnswer()
        found = _inspected(output)
        if found is None:
            return None
        return Image(
            found["id"],
            tuple(found["digests"] or ()),
            entrypoint=tuple(found["entrypoint"] or ()),
            platform=f"{found['os']}/{found['architecture']}",
        )


class DockerContainer(HostFact[Container | NoAnswer | None]):
    """A container by name, or None when there is none."""

    def command(self, container: str) -> StringCommand:
        # The whole document is long, and lists a container's mounts in another order each time.
        return _inspect(
            "container",
            container,
            '{"id":{{json .Id}},"running":{{json .State.Running}},'
            '"started_at":{{json .State.StartedAt}},"labels":{{json .Config.Labels}},'
            '"image":{{json .Image}}}',
        )

    def process(self, output: list[str]) -> Container | NoAnswer | None:
        if output[-1] == _UNANSWERED:
            return NoAnswer()
        found = _inspected(output)
        if found is None:
            return None
        return Container(
            id=found["id"],
            running=bool(found["running"]),
            started_at=found["started_at"],
            labels=tuple(sorted((found["labels"] or {}).items())),
            image_id=found["image"],
        )


# Asked first: a client starts a Docker that is off, where systemd holds its socket.
_IS_OFF = (
    "case $(systemctl show --property ActiveState --value docker.service 2>/dev/null) in "
    "inactive|failed) ;; *) false;; esac"
)
_IS_NOT_UP = "! systemctl is-active --quiet docker.service"
_UNANSWERED = "unanswered"


def _inspect(kind: str, name: str, form: str) -> StringCommand:
    inspect = f"timeout 30 docker inspect --type {kind} --format {shlex.quote(form)} "
    # It fails for something missing, and so it does without a daemon.
    there_is_none = "timeout 30 docker version >/dev/null"
    return _asked(inspect + shlex.quote(name), there_is_none)


def _asked(*attempts: str) -> StringCommand:
    """Each attempt until one succeeds; the last word of a daemon that hangs is ``unanswered``."""
    return StringCommand(
        " || ".join(
            (
                "! command -v docker >/dev/null",
                _IS_OFF,
                *(f"{attempt} 2>/dev/null" for attempt in (*attempts, _IS_NOT_UP)),
                f"echo {_UNANSWERED}",
            )
        )
    )


def _inspected(output: list[str]) -> Any:
    """The object that ``docker inspect`` printed; None for something missing."""
    text = "".join(output).strip()
    return json.loads(text) if text else None
