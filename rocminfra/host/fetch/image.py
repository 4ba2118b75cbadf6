"""Fetches a container image with Docker, unless it is there: a pull, or an archive's load.

    python3 -m rocminfra.host.fetch.image REFERENCE [--archive FILE]

Standard library only, in Python 3.8's syntax.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from rocminfra.host.fetch.docker_api import pull
from rocminfra.host.fetch.supervised import (
    ATTEMPTS,
    GivenUpError,
    Patience,
    Status,
    claimed_bytes,
    free_bytes,
    main,
    sized,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Docker keeps a layer as it came until it is unpacked, and unpacked it is larger: less than this
# many times the registry's sizes is too little for any image.
UNPACKED = 2
_ANSWER_S = 60
# A registry that is only reached through Docker's mirrors must not hold up the pull.
_REGISTRY_S = 15


def fetch(
    reference: str, archive: str | None, status: Status, patience: Patience | None = None
) -> None:
    """Have the image on the host; raises :class:`GivenUpError`."""
    if _is_there(reference):
        return
    free = free_bytes(_output(["docker", "info", "-f", "{{.DockerRootDir}}"]).strip() or "/")
    free -= claimed_bytes()
    if archive is not None:
        _load(reference, archive, free, status)
        return
    total = compressed_bytes(reference)
    if total is None:
        print("the registry does not say how large the image is", file=sys.stderr)
    elif total * UNPACKED > free:
        raise GivenUpError(
            "space",
            f"{reference} needs at least {sized(total * UNPACKED)} ({sized(total)} packed), and "
            f"{sized(max(0, free))} are free for Docker; nothing was pulled",
        )
    status.say(total=total, done=0)
    _pull(reference, status, patience or Patience())


def compressed_bytes(reference: str) -> int | None:
    """Bytes of the image's layers, as its registry has them; None when it does not say."""
    try:
        document = _manifest(reference)
        if document is not None and "manifests" in document:
            machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")
            platforms = [(item.get("platform") or {}, item) for item in document["manifests"]]
            wanted = [
                item["digest"]
                for platform, item in platforms
                if (platform.get("os"), platform.get("architecture")) == ("linux", machine)
            ]
            name = reference.partition("@")[0]
            head, colon, tag = name.rpartition(":")
            name = head if colon and "/" not in tag else name
            document = _manifest(f"{name}@{wanted[0]}") if wanted else None
        sizes = [int(layer["size"]) for layer in (document or {})["layers"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return sum(sizes) if all(size >= 0 for size in sizes) else None


def _manifest(reference: str) -> dict[str, Any] | None:
    command = ["docker", "manifest", "inspect"]
    # The daemon speaks plain HTTP with a registry on its own machine; the client has to be told.
    if reference.startswith(("localhost:", "127.0.0.1:", "localhost/", "127.0.0.1/")):
        command.append("--insecure")
    try:
        document = json.loads(_output([*command, reference], _REGISTRY_S))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _pull(reference: str, status: Status, patience: Patience) -> None:
    in_vain, before = 0, 0
    while True:
        done, kind, said = pull(reference, status, patience)
        if not kind and _is_there(reference):
            return
        if not kind:
            kind, said = "failed", "Docker ended the pull without the image"
        # In the middle of a pull it is a signed address that has run out: the next one has another.
        if kind == "absent" or (kind == "denied" and not max(done, before)):
            raise GivenUpError(kind, f"{reference}: {said}")
        in_vain = 1 if done > before else in_vain + 1
        before = max(before, done)
        if in_vain >= ATTEMPTS:
            raise GivenUpError(kind, f"{reference}: {said}, {ATTEMPTS} times in a row")
        status.say(note=f"{said}: tried again")
        print(f"{said}: tried again", file=sys.stderr)
        time.sleep(patience.pause_s)


def _load(reference: str, archive: str, free: int, status: Status) -> None:
    try:
        size = os.stat(archive).st_size
    except OSError as error:
        raise GivenUpError("absent", f"the archive {archive} cannot be read: {error}") from None
    if size > free:
        raise GivenUpError(
            "space",
            f"the archive {archive} has {sized(size)}, and {sized(max(0, free))} are free for "
            "Docker; nothing was loaded",
        )
    status.say(total=size, done=0)
    with subprocess.Popen(
        ["docker", "load", "--quiet", "--input", archive],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while True:
            try:
                code = process.wait(1)
                break
            except subprocess.TimeoutExpired:
                status.say(done=min(size, _read_bytes(process.pid)))
    if code != 0:
        raise GivenUpError("failed", f"docker load of {archive} ended with {code}")
    if not _is_there(reference):
        raise GivenUpError("absent", f"the archive {archive} holds no image {reference}")


def _read_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            return int(file.readline().partition(":")[2])
    except (OSError, ValueError):
        return 0


def _is_there(reference: str) -> bool:
    command = ["docker", "image", "inspect", reference]
    quiet = subprocess.DEVNULL
    try:
        return not subprocess.run(
            command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=_ANSWER_S, check=False
        ).returncode
    except (OSError, subprocess.SubprocessError):
        return False


def _output(command: list[str], timeout_s: float = _ANSWER_S) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("reference")
    parser.add_argument("--archive")
    given = parser.parse_args()
    sys.exit(main(lambda status: fetch(given.reference, given.archive, status)))
