"""Everything that must be true before the engine's container may start.

    python3 preflight.py --port 8000 --vram-percent 10 --vram-timeout 900
        [--image ID] [--model DIR] [--container NAME --stop-timeout 90]

First it stops and removes what a killed client left of the unit's own container.

Each failed check is a line on stderr with the next command; the exit code is 1 if there was one.
A start that would fail minutes later, or that would share a port silently (vLLM listens with
SO_REUSEPORT), fails here at once.

Standard library only: this file is copied to the host as it is, and what it imports of ours to the
folder ``shared`` beside it.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

if not __package__:  # on the host, where it is started as a file
    sys.dont_write_bytecode = True  # or a folder of ours would hold what we did not put there
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "shared"))

from rocminfra.planning.gpus import amd_smi_output
from rocminfra.planning.gpus.gpu_selection import UNPARTITIONED, engine_rows, parse_environment

ENVIRONMENT = "/etc/rocminfra/vllm.env"
MOST_MIB = 1e9
LISTEN = "0A"  # state of a listening socket in /proc/net/tcp (include/net/tcp_states.h)


def listening_inodes(table: str, port: int) -> list[str]:
    """Inodes of the sockets that listen on ``port`` in a text of /proc/net/tcp or tcp6."""
    inodes = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTEN:
            continue
        if int(fields[1].rsplit(":", 1)[1], 16) == port:
            inodes.append(fields[9])
    return inodes


def vram_percent(
    document: object,
    environment: Mapping[str, str] | None = None,
    partitions: bool | None = None,
) -> float | None:
    """Highest VRAM use of any GPU that the engine may use, in percent; None if unknown.

    + document: of ``amd-smi metric --json``
    + environment: the engine's, which may hide GPUs from it
    + partitions: whether a GPU is partitioned; None when nobody knows
    """
    gpus = amd_smi_output.rows(document)
    if gpus is None:
        return None
    readings = [_vram_mib(gpu) for gpu in gpus]
    shares = []
    for _, row in engine_rows([total for _, total in readings], environment, partitions):
        used, total = readings[row]
        # A reading above the total cannot be right.
        if used is not None and total and used <= total:
            shares.append(100.0 * used / total)
    return max(shares) if shares else None


def wait_until_clean(
    read: Callable[[], float | None],
    limit_percent: float,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float | None:
    """Wait until VRAM use is at most ``limit_percent``; the last reading, or None if unknown.

    A killed engine's memory is given back only when the driver has torn its contexts down, which
    may take minutes; an engine that starts before that fails with "Free memory on device … less
    than desired".
    """
    deadline = clock() + timeout_s
    while True:
        reading = read()
        if reading is None or reading <= limit_percent or clock() >= deadline:
            return reading
        sleep(2.0)


def leftover_commands(
    listing: str, container: str, stop_timeout_s: int
) -> tuple[list[list[str]], str]:
    """Commands that remove what is left of the unit's own container, and a problem or "".

    + listing: ``NAME LABEL`` a line, of all containers; LABEL is empty for one that is not ours
    + container: name of the unit's container

    Stopped first, with SIGTERM: SIGKILL leaks VRAM. A container of this name that carries no label
    of ours is somebody's, and is left alone.
    """
    for line in listing.splitlines():
        name, _, label = line.partition(" ")
        if name != container:
            continue
        if not label:
            return [], (
                f"a container named {container} is there that this unit did not start. "
                f"next: docker rm -f {container}, or set engine.container_name"
            )
        stop = ["docker", "stop", "-t", str(stop_timeout_s), container]
        return [stop, ["docker", "rm", container]], ""
    return [], ""


def main(arguments: list[str]) -> int:
    """Run the checks; exit code 0 when all pass, 1 when one fails."""
    parser = argparse.ArgumentParser(description="checks before the engine starts")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--vram-percent", type=float, required=True)
    parser.add_argument("--vram-timeout", type=float, required=True)
    parser.add_argument("--image")
    parser.add_argument("--model")
    parser.add_argument("--container")
    parser.add_argument("--stop-timeout", type=int, default=90)
    options = parser.parse_args(arguments)
    problems = list(_leftover(options.container, options.stop_timeout))
    problems += [*_nodes(), *_image(options.image), *_model(options.model), *_port(options.port)]
    if not problems:
        problems = list(_vram(options.vram_percent, options.vram_timeout))
    for problem in problems:
        print(f"preflight: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _vram_mib(gpu: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Used and total VRAM of a row."""
    return _mib(gpu, "used_vram"), _mib(gpu, "total_vram")


def _mib(gpu: Mapping[str, Any], name: str) -> float | None:
    value = amd_smi_output.figure(gpu, ("mem_usage", name), amd_smi_output.MIB)
    # One that is negative or not finite cannot be right.
    return value if value is not None and 0 <= value < MOST_MIB else None


def _leftover(container: str | None, stop_timeout_s: int) -> Iterable[str]:
    if container is None:
        return
    form = '{{.Names}} {{.Label "rocminfra.config"}}'
    listing = _run(["docker", "ps", "--all", "--format", form], 60.0)
    if listing.returncode != 0:
        yield f"docker does not answer: {listing.stderr.strip()}. next: systemctl status docker"
        return
    commands, problem = leftover_commands(listing.stdout, container, stop_timeout_s)
    if problem:
        yield problem
    for command in commands:
        # `docker rm` fails when --rm has removed it already: that is what is wanted.
        _run(command, stop_timeout_s + 60.0)


def _run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def _nodes() -> Iterable[str]:
    try:
        is_node = stat.S_ISCHR(os.stat("/dev/kfd").st_mode)
    except OSError:
        is_node = False
    if not is_node:
        yield "/dev/kfd is missing: the amdgpu driver is not loaded. next: modprobe amdgpu"


def _image(image: str | None) -> Iterable[str]:
    if image is None:
        return
    found = _run(["docker", "image", "inspect", "--format", "{{.Id}}", image], 60.0)
    if found.returncode != 0:
        yield (
            f"image {image} is not on this host ({found.stderr.strip()}). "
            "next: run the vllm task again"
        )


def _model(model: str | None) -> Iterable[str]:
    if model is not None and not os.path.isfile(os.path.join(model, "config.json")):
        yield f"{model} holds no config.json. next: run the huggingface task again"


def _port(port: int) -> Iterable[str]:
    inodes = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                inodes += listening_inodes(file.read(), port)
        except OSError:
            continue
    if inodes:
        yield (
            f"port {port} is taken by another process. "
            f"next: ss -ltnp 'sport = :{port}' shows it; stop it, or set vllm.port"
        )


def _read_vram() -> float | None:
    program = "/opt/rocm/bin/amd-smi"
    found = program if os.access(program, os.X_OK) else shutil.which("amd-smi")
    if found is None:
        return None
    try:
        result = _run([found, "metric", "--mem-usage", "--json"], 30.0)
        return vram_percent(amd_smi_output.read(result.stdout), _environment(), _partitions())
    except (subprocess.TimeoutExpired, ValueError, OSError):
        return None


def _partitions() -> bool | None:
    """Whether a GPU is partitioned; None when the driver does not say."""
    modes = []
    for path in glob.glob("/sys/class/drm/renderD*/device/current_compute_partition"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                modes.append(file.read().strip())
        except OSError:
            modes.append("")
    return any(mode != UNPARTITIONED for mode in modes) if modes else None


def _environment() -> dict[str, str]:
    try:
        with open(ENVIRONMENT, encoding="utf-8", errors="replace") as file:
            return parse_environment(file.read())
    except OSError:
        return {}


def _vram(limit_percent: float, timeout_s: float) -> Iterable[str]:
    reading = wait_until_clean(_read_vram, limit_percent, timeout_s)
    if reading is None:
        print("preflight: VRAM use is unknown (no answer from amd-smi); going on", file=sys.stderr)
    elif reading > limit_percent:
        yield (
            f"{reading:.0f} % of the VRAM is in use after {timeout_s:.0f} s, more than "
            f"{limit_percent:.0f} %. next: amd-smi process shows by whom"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
