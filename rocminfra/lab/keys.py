"""SSH keys of the lab; the user's own keys and known hosts are never touched."""

from __future__ import annotations

import os
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.commands import run
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.paths import LabPaths

KNOWN_HOSTS = "known_hosts"


def lab_key(paths: LabPaths) -> str:
    """Public key of the lab; the pair is made when there is none."""
    public = paths.key.with_suffix(".pub")
    if not (paths.key.is_file() and public.is_file()):
        paths.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = paths.key.parent / f"draft-{os.getpid()}"
        _generate(draft, "rocminfra lab")
        draft.with_suffix(".pub").rename(public)
        draft.rename(paths.key)
    return public.read_text(encoding="ascii")


def host_key(folder: Path, droplet: Droplet) -> tuple[bytes, bytes]:
    """A new host key (private, public) for ``droplet``, known to the lab from now on."""
    draft = folder / "ssh_host_ed25519_key"
    _generate(draft, f"root@{droplet.name}")
    public = draft.with_suffix(".pub")
    kind, text, *_ = public.read_text(encoding="ascii").split()
    known = folder / KNOWN_HOSTS
    known.write_text(f"{droplet.address},{droplet.name} {kind} {text}\n", encoding="ascii")
    pair = draft.read_bytes(), public.read_bytes()
    draft.unlink()
    public.unlink()
    return pair


def private_key(paths: LabPaths, droplet: Droplet) -> Path:
    """File of the key that ``droplet`` lets in.

    Raises :class:`FailedError` when this user cannot read it.
    """
    key = Path(droplet.cache) / paths.key.relative_to(paths.cache)
    if not os.access(key, os.R_OK):
        raise FailedError(
            Fault.LAB_FILE,
            f"the lab's key {key} cannot be read",
            ("droplets are root's; or the cache they were made from has been removed",),
            Do(f"use sudo, or: rocminfra lab down {droplet.name}"),
        )
    return key


def ssh_command(paths: LabPaths, droplet: Droplet, user: str = "root") -> list[str]:
    """`ssh` to ``droplet`` with nothing of the user's own configuration.

    Raises :class:`FailedError` when this user cannot read the lab's key.
    """
    key = private_key(paths, droplet)
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(key),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        f"UserKnownHostsFile={paths.droplet(droplet.name) / KNOWN_HOSTS}",
        "-o",
        "GlobalKnownHostsFile=none",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "ConnectTimeout=10",
        "-o",
        "LogLevel=ERROR",
        f"{user}@{droplet.address}",
    ]


def _generate(file: Path, comment: str) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)])
