"""How fast a run's results come back, against `tar` over the same host's `ssh` (or `rsync`).

    python tests/performance/collection.py [--json]

Makes a practice droplet of its own (root is needed) and puts two runs on it: 1,000 files of 20 kB,
and 1 GiB in 64 files; JSON-like text, as results are. Each is brought back by our collector over
pyinfra's connection, and by `rsync -a` where both sides have it, else by `tar` through OpenSSH,
which rsync cannot beat on files that are all new. The connection is open already in ours, and part
of the others, as in their use.

The exit code is 1 when ours takes more than 1.2 times as long.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from rocminfra.bench.collecting import Collector  # noqa: E402
from rocminfra.bench.remote_run import RemoteRun  # noqa: E402
from rocminfra.host.programs import benchmark  # noqa: E402
from rocminfra.host_paths import RUNS  # noqa: E402
from rocminfra.lab import droplet_record, droplets, keys  # noqa: E402
from rocminfra.lab.paths import default_paths  # noqa: E402
from rocminfra.operations.bench_remote import remote_of  # noqa: E402
from rocminfra.runner.run.session import Progress, Request, Session  # noqa: E402

ROOT = Path(__file__).parents[2]
SETS = {"1,000 files": (1000, 20_000), "1 GiB": (64, 1 << 24)}
BAR = 1.2
MAKE = """
import json, os, random, sys
folder, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(1)
record = lambda: json.dumps({"time": random.random() * 1e9, "tokens": random.randrange(10**6)})
block = "\\n".join(record() for _ in range(4000))
for number in range(count):
    path = "%s/%03d/%04d.json" % (folder, number % 50, number)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        start = random.randrange(1000)
        text = block[start:]
        file.write((text * (size // len(text) + 1))[:size])
"""


def main() -> int:
    """1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="collection against tar or rsync over ssh")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths = default_paths()
    name = f"collection-{os.getpid()}"
    rows = []
    try:
        droplets.up(paths, [name], droplets.Wanted(), lambda line: None)
        ssh = keys.ssh_command(paths, droplet_record.load(paths, name), "root")
        _put_programs(ssh)
        for number, (title, (count, size)) in enumerate(SETS.items()):
            run = f"20260513T10150{number}Z-000000"
            make = f"python3 - {RUNS}/{run} {count} {size}"
            subprocess.run([*ssh, make], input=MAKE, text=True, check=True)
            ours = _ours(name, run)
            theirs, tool = _theirs(ssh, run)
            rows.append({"set": title, "ours_s": ours, f"{tool}_s": theirs, "ratio": ours / theirs})
            print(f"{title}: ours {ours:.1f} s, {tool} {theirs:.1f} s", file=sys.stderr)
    finally:
        droplets.down(paths, name, lambda line: None)
    if options.json:
        print(json.dumps(rows, indent=2))
    return 1 if any(float(row["ratio"]) > BAR for row in rows) else 0


def _put_programs(ssh: list[str]) -> None:
    for path, text in benchmark().items():
        command = f"mkdir -p {Path(path).parent} && cat >{path}"
        subprocess.run([*ssh, command], input=text, text=True, check=True)


def _ours(name: str, run: str) -> float:
    request = Request(
        command="collection",
        again=lambda host, step: "",
        inventory=str(ROOT / "inventory/lab.py"),
        folder=ROOT,
        limit=(name,),
        data={},
        detect_changes=False,
    )
    progress = Progress(lambda line: None, lambda line: None, lambda *words: None)
    with tempfile.TemporaryDirectory() as here, Session(request, progress) as session:
        session.connect()
        (host,) = session.active
        target = RemoteRun(run, name, remote_of(session.state, host))
        collector = Collector(target, Path(here), lambda line: None)
        target.remote.run("true", None, 60)
        return _timed(lambda: collector._collect("finished"))


def _theirs(ssh: list[str], run: str) -> tuple[float, str]:
    has_rsync = shutil.which("rsync") and not subprocess.run([*ssh, "command -v rsync"]).returncode
    with tempfile.TemporaryDirectory() as here:
        if has_rsync:
            shell = " ".join(ssh[:-1])
            command = ["rsync", "-a", "-e", shell, f"{ssh[-1]}:{RUNS}/{run}/", here]
            return _timed(lambda: subprocess.run(command, check=True)), "rsync"

        def tar() -> None:
            with subprocess.Popen(
                [*ssh, f"tar -C {RUNS}/{run} -cf - ."], stdout=subprocess.PIPE
            ) as sending:
                subprocess.run(["tar", "-C", here, "-xf", "-"], stdin=sending.stdout, check=True)

        return _timed(tar), "tar"


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
