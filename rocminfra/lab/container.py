"""Boots a droplet's system with systemd-nspawn, detached from whoever asked for it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import control_groups, layer
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.paths import LabPaths
from rocminfra.lab.processes import root_argument

CONSOLE = "console.log"
# A boot takes 1 to 2 s; the rest is for machines with much else to do.
BOOT_TIMEOUT_S = 60

# Enters its control groups, so that two systems on a machine without systemd do not share one.
_ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'
# The overlay is mounted where only this process and what it starts can see it: it goes away with
# them, however they end.
_MOUNT = 'mount -t overlay overlay -o "$1" "$2"; shift 2; exec "$@"'


def start(paths: LabPaths, droplet: Droplet) -> subprocess.Popen[bytes]:
    """Start ``droplet``; it goes on when this process ends.

    Raises :class:`FailedError` when there are no control groups to run it in.
    """
    folder = paths.droplet(droplet.name)
    root = folder / "root"
    options = f"lowerdir={droplet.base},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    mounted = ["unshare", "--mount", "--propagation", "slave", "--", "sh", "-eu", "-c", _MOUNT]
    mounted += ["rocminfra-lab-mount", options, str(root), *_nspawn(paths, droplet)]
    if control_groups.run_by_systemd():
        scope = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={droplet.cgroup}"]
        scope += [f"--slice={control_groups.SLICE}", "--property=Delegate=yes"]
        command = [*scope, "--", *mounted]
    else:
        groups = [str(file) for file in control_groups.make(droplet.cgroup)]
        enter = ["sh", "-eu", "-c", _ENTER, "rocminfra-lab-enter"]
        command = [*enter, *groups, "--", *mounted]
    environment = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        # Filters of system calls in a container of a container (systemd's docs/ENVIRONMENT.md).
        "SYSTEMD_SECCOMP": "1",
        # The droplet's /tmp is on its disk, and not a tenth of the memory.
        "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
    }
    with (folder / CONSOLE).open("ab") as console:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=environment,
            cwd="/",
            start_new_session=True,
        )


def wait_for_ssh(paths: LabPaths, droplet: Droplet, process: subprocess.Popen[bytes]) -> None:
    """Wait until the droplet's sshd answers; its devices are there by then.

    Raises :class:`FailedError` with the end of the console when it does not.
    """
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while not answers(droplet.address):
        ended = process.poll()
        if ended is None and time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        how = "did not boot" if ended is not None else f"has no SSH after {BOOT_TIMEOUT_S} s"
        raise FailedError(
            Fault.LAB_DROPLET_NOT_UP,
            f"droplet '{droplet.name}' {how}",
            console_tail(paths.droplet(droplet.name)),
            Do("look at the lines above; then rocminfra lab clean, and up again"),
        )


def answers(address: str) -> bool:
    """Whether an SSH server answers at ``address``."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            connection.settimeout(5)
            # Whoever hangs up without a greeting is an error in the droplet's journal.
            connection.sendall(b"SSH-2.0-rocminfra-lab\r\n")
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def console_tail(folder: Path, lines: int = 15) -> tuple[str, ...]:
    """The last lines of a droplet's console."""
    try:
        text = (folder / CONSOLE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines()[-lines:])


def _nspawn(paths: LabPaths, droplet: Droplet) -> list[str]:
    command = [
        "systemd-nspawn",
        "--quiet",
        root_argument(paths, droplet.name),
        f"--machine={droplet.name}",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--settings=no",
        "--link-journal=no",
        "--timezone=off",
        "--resolv-conf=off",
        "--console=pipe",
        # As on a machine of its own, whatever the limits of this shell are.
        "--rlimit=RLIMIT_NOFILE=1024:524288",
        # Docker needs nearly all of them; none can set this machine's clock or load modules.
        "--capability=all",
        "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE",
        "--system-call-filter=keyctl add_key request_key bpf",
        f"--network-namespace-path=/run/netns/{droplet.namespace}",
    ]
    for here, there, writable in layer.binds(paths, droplet):
        option = "--bind" if writable else "--bind-ro"
        command.append(f"{option}={_escaped(str(here))}:{_escaped(there)}")
    # For the droplet's init, which in a container reads its arguments as a kernel's: systemd 256
    # and newer run under control groups v1 only when told to.
    return [*command, "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]


def _escaped(path: str) -> str:
    """A path for --bind=, where a colon separates."""
    return path.replace("\\", "\\\\").replace(":", "\\:")
