"""`rocminfra bench collect` against `rsync -a -e ssh`, in one run: 1,000 files, and 1 GiB.

    sudo python tests/performance/collection.py [--runs 3] [--gib 1.0] [--no-delay] [--json]

Makes a practice droplet, runs a benchmark of stand-ins there, and gives its results many files or
large ones: text as GuideLLM's reports have it, and for comparison bytes that no program makes
smaller. Then both bring everything back into an empty folder, in turns, over the link as it is and
over one with a round trip of 50 ms. `rsync` checks sizes and times; `collect` checks every file
against the manifest. "rsync" is its whole command. "ours, files" is from the first question for a
file until all are here and verified, and is what is judged: ends with 1 when its median is more
than rsync's. "ours" is the whole command: also Python's start, the connection, and at its end the
run's report as a page, which rsync does not make ("ours, report"). "ours, cpu" is the processor
time of our process, without `ssh`'s; "load" the load average of one minute before each round. The
droplet shares this machine's cores with all of them.

Needs root, and `rsync` here; it is installed in the droplet.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE), str(HERE.parent), str(HERE.parent / "lab")]

import bench_droplets  # noqa: E402
import lab_host  # noqa: E402
from lab_host import LabHost  # noqa: E402
from no_change import delaying_proxy, run, say, timed  # noqa: E402

RUNS = "/var/lib/rocminfra/runs"
PROGRAMS = "/usr/local/lib/rocminfra/bench"
LARGE_FILES = 10
FILES = "ours, files"
PARTS = {FILES: "files", "ours, report": "report", "ours, cpu": "cpu"}
LOAD = "load"

# Fills a run's folder and writes its manifest again. Text: numbers as in a report, of which gzip
# leaves about a third.
FILL = f"""
import os, random, sys
from pathlib import Path
sys.path.insert(0, "{PROGRAMS}")
from rocminfra.host.bench.files import write_manifest
folder, kind, count, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(1)
def lines(size):
    text = []
    while size > 0:
        line = '{{"request_id":"%032x","start":%.6f,"tokens":%d,"outcome":"completed"}}\\n' % (
            random.getrandbits(128), random.uniform(1.7e9, 1.8e9), random.randrange(9999))
        text.append(line)
        size -= len(line)
    return "".join(text).encode()
block = os.urandom(1 << 20) if kind == "bytes" else lines(1 << 20)
old = folder / "01-concurrent-4" / "filling"
os.system("rm -rf '%s'" % old)
old.mkdir()
for number in range(count):
    with open(old / ("%04d" % number), "wb") as file:
        left = size
        while left > 0:
            # Turned by a line's length or so: no two blocks are alike.
            turn = random.randrange(1 << 20)
            part = (block[turn:] + block[:turn])[:left]
            file.write(part)
            left -= len(part)
write_manifest(folder)
"""


@dataclass(frozen=True)
class Load:
    """What is brought back.

    + kind: of contents, ``text`` or ``bytes``
    + count, size: files, and bytes of each
    """

    name: str
    kind: str
    count: int
    size: int


def main(arguments: Sequence[str]) -> int:
    """0 when, by medians, our files are nowhere later here than rsync's."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--runs", type=int, default=3, help="of each; 3 by default")
    options.add_argument("--gib", type=float, default=1.0, help="of the large files")
    options.add_argument("--no-bytes", action="store_true", help="not what nothing makes smaller")
    options.add_argument("--no-delay", action="store_true", help="not over the slow link")
    options.add_argument("--json", action="store_true", help="all times as JSON")
    given = options.parse_args(arguments)
    large = int(given.gib * 2**30 / LARGE_FILES)
    loads: tuple[Load, ...] = (
        Load("1,000 files of 20 kB", "text", 1000, 20_000),
        Load(f"{given.gib:g} GiB of text", "text", LARGE_FILES, large),
        Load(f"{given.gib:g} GiB of random bytes", "bytes", LARGE_FILES, large),
    )
    if given.no_bytes:
        loads = loads[:2]
    seconds: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name, droplet() as host:
        folder = Path(name)
        run_id = finished_run(host, folder)
        with delaying_proxy(host.address) as port:
            for load in loads:
                say(f"{load.name}: made on the droplet")
                fill(host, run_id, load)
                for link, via in (("", None), (", 50 ms", port))[: 1 if given.no_delay else 2]:
                    seconds[load.name + link] = compared(host, run_id, folder, via, given.runs)
                    say(line(load.name + link, seconds[load.name + link]))
    if given.json:
        print(json.dumps(seconds, indent=2))
    else:
        print(f"{os.cpu_count()} cores; median (fastest to slowest), seconds")
        for what, measured in seconds.items():
            print(line(what, measured))
    return 1 if any(is_slower(one) for one in seconds.values()) else 0


def compared(
    host: LabHost, run_id: str, folder: Path, port: int | None, runs: int
) -> dict[str, list[float]]:
    """Seconds of every run of both, in turns."""
    ways: dict[str, Callable[[], None]] = {
        "rsync": lambda: by_rsync(host, run_id, folder, port),
        "ours": lambda: by_collect(host, run_id, folder, port),
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, *PARTS, LOAD)}
    for _ in range(runs):
        seconds[LOAD].append(os.getloadavg()[0])
        for name, once in ways.items():
            shutil.rmtree(folder / "back", ignore_errors=True)
            seconds[name].append(timed(once))
        took = json.loads((folder / "took.json").read_text(encoding="utf-8"))
        for name, part in PARTS.items():
            seconds[name].append(took[part])
    return seconds


def by_rsync(host: LabHost, run_id: str, folder: Path, port: int | None) -> None:
    """rsync over the ssh of this machine."""
    *ssh, login = lab_host.keys.ssh_command(lab_host.PATHS, host.droplet, "root")
    user, _, address = login.partition("@")
    if port is not None:
        # The proxy has no name in known_hosts; it leads to that droplet only.
        ssh += ["-p", str(port), "-o", "StrictHostKeyChecking=no"]
        ssh[ssh.index("StrictHostKeyChecking=yes")] = "StrictHostKeyChecking=no"
        address = "127.0.0.1"
    target = folder / "back"
    target.mkdir()
    source = f"{user}@{address}:{RUNS}/{run_id}/"
    run(["rsync", "-a", "-e", shlex.join(ssh), source, f"{target}/"], os.environ)


def by_collect(host: LabHost, run_id: str, folder: Path, port: int | None) -> None:
    """`rocminfra bench collect`."""
    program = [sys.executable, str(HERE / "timed_collect.py"), str(folder / "took.json")]
    command = [*program, run_id]
    environment = {
        **os.environ,
        "MEASURE_DROPLET": host.name,
        "MEASURE_CONNECTOR": "rocminfra",
        "MEASURE_HOSTS": "1",
        "MEASURE_PORT": "" if port is None else str(port),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
    }
    inventory = ["-i", str(HERE / "measured_hosts.py")]
    run([*command, *inventory, "--data", f"bench.results_dir={folder}/back"], environment)


@contextlib.contextmanager
def droplet() -> Iterator[LabHost]:
    """A practice droplet with stand-ins, and rsync."""
    say("practice droplet")
    (host,) = bench_droplets.up("collection")
    try:
        host.ok("apt-get install -y rsync >/dev/null")
        yield host
    finally:
        lab_host.down(host.name)


def finished_run(host: LabHost, folder: Path) -> str:
    """A benchmark of stand-ins that has ended well; its id."""
    bench_droplets.set_modes(host)
    process = bench_droplets.starter(folder)(host)
    said = bench_droplets.ended(process)
    if process.returncode != 0:
        raise SystemExit(said)
    return bench_droplets.run_id(said)


def fill(host: LabHost, run_id: str, load: Load) -> None:
    """Give a run's results the files of a load."""
    arguments = [f"{RUNS}/{run_id}", load.kind, str(load.count), str(load.size)]
    host.ok(shlex.join(["python3", "-c", FILL, *arguments]), timeout_s=600)


def is_slower(seconds: dict[str, list[float]]) -> bool:
    """Whether our files are here later than rsync's, by medians."""
    return median(seconds[FILES]) > median(seconds["rsync"])


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def line(what: str, seconds: dict[str, list[float]]) -> str:
    """Both medians with their spread, and their ratio."""
    shown = [
        f"{name} {median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"
        for name, values in seconds.items()
    ]
    ratio = median(seconds[FILES]) / median(seconds["rsync"])
    verdict = "MISSED" if is_slower(seconds) else "met"
    return f"{what:<36}{'   '.join(shown)}   files {ratio:.2f} times: {verdict}"


if __name__ == "__main__":
    began = time.monotonic()
    code = main(sys.argv[1:])
    say(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(code)
