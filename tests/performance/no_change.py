"""How long a run without changes takes, and where the time goes.

    python tests/performance/no_change.py [--runs 5] [--json]

Makes a practice droplet of its own (root is needed), deploys to it, and then measures, in turns so
that a busy moment of the machine meets all of them alike:

+ floor: one `ssh HOST true`
+ empty: pyinfra with an empty deploy file
+ plain: `deploy.py` without changes, pyinfra's own SSH connector
+ batched: the same, `@rocminfra/…`
+ plain_rtt50, batched_rtt50: the same two over a link with a round trip of 50 ms
+ plain_16_hosts, batched_16_hosts: sixteen hosts at once, which are sixteen names of the one
  droplet; what they have to do themselves is done by this machine too, and is told apart
+ help: `rocminfra --help`

The first run, which finds nothing done, is told operation by operation.

Every row is the median of all runs, with the fastest and the slowest. Bars are judged by medians
of this one invocation, so by ratios and differences on the same machine at the same time; the exit
code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from table import judged, print_table
from time_line import Step, printed, watched

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROUND_TRIP_SECONDS = 0.05
MANY = 16
LOTS = 64
HELP = "from rocminfra.runner.cli import main; main()"


@dataclass(frozen=True)
class Setup:
    """What is measured against.

    + droplet: name of the practice droplet
    + ssh: command that logs in there
    + folder: for files of this measurement, learned lists among them
    + proxy_port: local port of the link with delay
    """

    droplet: str
    ssh: tuple[str, ...]
    folder: Path
    proxy_port: int

    def environment(self, connector: str, hosts: int, delayed: bool) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": search_path(),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "ROCMINFRA_LAB_CACHE": str(lab_cache()),
            "PYINFRA_PROGRESS": "off",
            "MEASURE_DROPLET": self.droplet,
            "MEASURE_CONNECTOR": connector,
            "MEASURE_HOSTS": str(hosts),
            "MEASURE_PORT": str(self.proxy_port) if delayed else "",
        }


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    # As pip leaves a package that it installs; pyinfra tells Python not to compile this checkout.
    compileall.compile_dir(ROOT / "rocminfra", quiet=1)
    with (
        tempfile.TemporaryDirectory() as folder,
        practice_host(options.keep) as (droplet, address, ssh),
        delaying_proxy(address) as port,
    ):
        setup = Setup(droplet, ssh, Path(folder), port)
        say("first run: everything is to be done")
        steps = first_run(setup)
        say(f"measuring {options.runs} runs of each")
        seconds = measure(setup, options.runs)
        before = cpu_seconds(droplet)
        deploy(setup, "rocminfra", hosts=MANY)
        own = {"cpu_s_of_16_hosts": round(cpu_seconds(droplet) - before, 2)}
        memory = {f"memory_{number}_hosts_mb": memory_mb(setup, number) for number in (1, LOTS)}
        execs = {
            f"{name}_execs": count_execs(setup, connector)
            for name, connector in (("plain", "ssh"), ("batched", "rocminfra"))
        }
    medians = {f"{name}_s": round(statistics.median(runs), 3) for name, runs in seconds.items()}
    first = round(sum(step.took for step in steps), 1)
    results = {"first_run_s": first, **medians, **execs, **own, **memory}
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print("First run, everything to be done:\n")
        print(printed(steps))
        print_table(seconds, results)
    return 0 if all(bar.is_met for bar in judged(results)) else 1


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--runs", type=int, default=5, help="runs of each; 5 by default")
    options.add_argument("--json", action="store_true", help="medians as JSON on standard output")
    options.add_argument("--keep", action="store_true", help="leave the practice droplet up")
    return options


def measure(setup: Setup, runs: int) -> dict[str, list[float]]:
    """Seconds of every run of everything, measured in turns."""
    measured: Mapping[str, Callable[[], object]] = {
        "floor": lambda: run([*setup.ssh, "true"], dict(os.environ)),
        "empty": lambda: deploy(setup, "ssh", empty=True),
        "plain": lambda: deploy(setup, "ssh"),
        "batched": lambda: deploy(setup, "rocminfra"),
        "plain_rtt50": lambda: deploy(setup, "ssh", delayed=True),
        "batched_rtt50": lambda: deploy(setup, "rocminfra", delayed=True),
        "plain_16_hosts": lambda: deploy(setup, "ssh", hosts=MANY),
        "batched_16_hosts": lambda: deploy(setup, "rocminfra", hosts=MANY),
        "help": lambda: run(
            [sys.executable, "-c", HELP, "--help"], setup.environment("", 1, False)
        ),
    }
    deploy(setup, "rocminfra")  # learns the list
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(runs):
        for name, once in measured.items():
            seconds[name].append(timed(once))
            say(f"{number + 1}/{runs} {name}: {seconds[name][-1]:.2f} s")
    return seconds


def first_run(setup: Setup) -> list[Step]:
    """What a run does that finds nothing done, operation by operation."""
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    environment = setup.environment("rocminfra", 1, False)
    return watched([pyinfra, *deploy_arguments(setup, False)], environment, str(ROOT))


def cpu_seconds(droplet: str) -> float:
    """CPU time that the practice droplet has used."""
    (usage,) = [*Path("/sys/fs/cgroup").glob(f"*/rocminfra-lab-{droplet}/cpuacct.usage")] or [None]
    if usage is not None:
        return int(usage.read_text()) / 1e9
    (stat,) = Path("/sys/fs/cgroup").glob(f"**/rocminfra-lab-{droplet}/cpu.stat")
    return int(stat.read_text().split()[1]) / 1e6


def memory_mb(setup: Setup, hosts: int) -> int:
    """Most memory that pyinfra takes for so many hosts, in MiB."""
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    measuring = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
    measuring += "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", measuring, pyinfra, *deploy_arguments(setup, False)]
    done = run(command, setup.environment("rocminfra", hosts, False))
    peak = re.search(r"^peak (\d+)$", done, re.MULTILINE)
    return int(peak[1]) // 1024 if peak else 0


def deploy(
    setup: Setup, connector: str, *, hosts: int = 1, delayed: bool = False, empty: bool = False
) -> None:
    """One run of pyinfra, which must succeed."""
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))
    environment = setup.environment(connector, hosts, delayed)
    run([pyinfra, *deploy_arguments(setup, empty)], environment)


def deploy_arguments(setup: Setup, empty: bool) -> list[str]:
    file = ROOT / "deploy.py"
    if empty:
        file = setup.folder / "empty.py"
        file.touch()
    return ["-y", str(HERE / "measured_hosts.py"), str(file)]


def count_execs(setup: Setup, connector: str) -> int:
    """SSH execs of one run without changes; one that changes something is an error here."""
    report = setup.folder / "counted.json"
    counting = [sys.executable, str(HERE / "counting_pyinfra.py"), str(report)]
    environment = setup.environment(connector, 1, False)
    done = run([*counting, *deploy_arguments(setup, False)], environment)
    total = re.search(r"Grand total +(\d+) +(\S+) +(\S+) +(\d+)", done)
    if total is None or total[1] != total[4]:
        raise SystemExit(f"a run without changes changed something:\n{done}")
    return int(json.loads(report.read_text(encoding="utf-8"))["execs"])


@contextlib.contextmanager
def practice_host(keep: bool) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """A practice droplet: its name, its address and the command that logs in there."""
    name = f"measure-{os.getpid() % 1000}"
    lab = [sys.executable, "-m", "rocminfra.lab"]
    environment = {**os.environ, "PYTHONPATH": search_path()}
    say(f"practice droplet {name}")
    made = run([*lab, "up", "--name", name], environment)
    address = re.search(rf"^{name}\t(\S+)$", made, re.MULTILINE)
    try:
        if address is None:
            raise SystemExit(f"no address in what `rocminfra lab up` said:\n{made}")
        key, known_hosts = lab_login(name)
        login = ["-i", key, "-o", f"UserKnownHostsFile={known_hosts}", "-o", "BatchMode=yes"]
        yield name, address[1], ("ssh", "-F", "none", *login, f"root@{address[1]}")
    finally:
        if not keep:
            run([*lab, "down", name], environment)


def lab_login(droplet: str) -> tuple[str, str]:
    """Private key and known_hosts file of a droplet."""
    code = "import sys; from rocminfra.lab.hosts import hosts; d = dict(hosts())[sys.argv[1]]; "
    code += "print(d['ssh_key']); print(d['ssh_known_hosts_file'])"
    environment = {**os.environ, "PYTHONPATH": search_path()}
    key, known_hosts = run([sys.executable, "-c", code, droplet], environment).splitlines()[:2]
    return key, known_hosts


@contextlib.contextmanager
def delaying_proxy(address: str) -> Iterator[int]:
    """A link to the droplet's SSH with a round trip of 50 ms; its local port."""
    command = [sys.executable, str(HERE / "delaying_proxy.py"), address, "22"]
    command.append(str(ROUND_TRIP_SECONDS / 2))
    proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with proxy:
        try:
            assert proxy.stdout is not None
            yield int(proxy.stdout.readline())
        finally:
            proxy.terminate()


def run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run it; what it printed, stdout before stderr. A failure ends the measurement."""
    done = subprocess.run(
        command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def timed(once: Callable[[], object]) -> float:
    start = time.monotonic()
    once()
    return time.monotonic() - start


def lab_cache() -> Path:
    """Where the lab's cache is and stays, while learned lists go into a folder of our own."""
    named = os.environ.get("ROCMINFRA_LAB_CACHE", "") or os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if named else Path.home() / ".cache"


def search_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
