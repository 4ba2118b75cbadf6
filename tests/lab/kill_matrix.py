"""A run that is killed on its way, and what it leaves on the host."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from deploys import ROOT, rocminfra
from lab_host import LabHost

DEADLINE_S = 240
# What may go on without whoever started it: each is a unit, and the next run knows it.
JOBS = {
    "rocminfra-apt.service",
    "rocminfra-guidellm.service",
    "rocminfra-image.service",
    "rocminfra-prefetch.service",
}
# A run of GuideLLM, and each of its points.
BENCHMARK = "rocminfra-bench-"
# What is only there while a file is being written, or a command is under way.
HALF_WRITTEN = (
    "find / -xdev -path /proc -prune -o -path /mnt/models/docker -prune -o "
    r"\( -name '*rocminfra-new*' -o -name '*rocminfra.new*' -o -name 'pyinfra-*' "
    r"-o -path '/run/rocminfra/*.pipe' \) -print; "
    "find /etc/rocminfra /var/lib/rocminfra /usr/local/lib/rocminfra /mnt/models/.rocminfra-hub "
    "-name '*.new' 2>/dev/null || true"
)
# Processes of logins: nothing of a run may stay among them. This look is one as well.
_MARK = "kill-matrix-look"
_BORDER = "-- border --"
_LOGINS = (
    f": {_MARK}; ps -eo unit:40,pid,args --no-headers | "
    f"grep -E '^(ssh|sshd)(@.*)?\\.service |^session-|^user@' | "
    f"grep -vE '{_MARK}|sshd: |ps -eo unit|grep -|[0-9]+ bash -c ps' || true"
)


@dataclass(frozen=True)
class Kill:
    """Where a run ends.

    + operation: which begins (of plain pyinfra), or has ended (of ``rocminfra``, so that the next
      one begins)
    + number: signal, which only that process gets
    + after_s: so many seconds later
    + words: of the command
    """

    operation: str
    number: signal.Signals = signal.SIGKILL
    after_s: float = 0.0
    words: tuple[str, ...] = ("pyinfra", "-y", "inventory/lab.py", "deploy.py")

    @property
    def slug(self) -> str:
        return f"{self.operation}, {self.number.name} after {self.after_s} s"


@dataclass
class Left:
    """What is on the host that was not there before.

    + processes: of logins
    + units: ours, under way
    + mounts: besides those of Docker
    """

    processes: list[str] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    mounts: set[str] = field(default_factory=set)


def killed(host: LabHost, kill: Kill) -> int:
    """Run until the operation is there, then send the signal; the exit code."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *kill.words, "--limit", host.name],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore it, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("--> ") and kill.operation in line:
            break
    else:
        raise AssertionError(f"it did not get to '{kill.operation}':\n{said}")
    time.sleep(kill.after_s)
    process.send_signal(kill.number)
    process.stderr.close()
    return process.wait(DEADLINE_S)


def left(host: LabHost) -> Left:
    """What is there now."""
    units = "systemctl list-units --plain --no-legend 'rocminfra-*' | cut -d ' ' -f 1"
    mounts = "findmnt -J --list -o TARGET,FSTYPE"
    processes, names, document = host.ok(
        f"{_LOGINS}; echo {_BORDER}; {units}; echo {_BORDER}; {mounts}"
    ).split(f"{_BORDER}\n")
    return Left(
        [line for line in processes.splitlines() if line.strip()],
        set(names.split()),
        {
            item["target"]
            for item in json.loads(document)["filesystems"]
            if "/docker" not in item["target"] and not item["target"].startswith(("/run", "/proc"))
        },
    )


def waits_for_nobody(host: LabHost, before: Left) -> Left:
    """What is left once everything has ended that ends by itself; nothing may stay that waits.

    A command that was under way when its connection went, such as mkfs, comes to its end.
    """
    deadline = time.monotonic() + 60
    while True:
        found = left(host)
        if not found.processes:
            break
        assert time.monotonic() < deadline, found.processes
        time.sleep(1)
    found.units -= before.units
    unknown = {name for name in found.units - JOBS if not name.startswith(BENCHMARK)}
    assert not unknown, unknown
    assert found.mounts - before.mounts <= {"/mnt/models"}, found.mounts
    return found


def reaches_the_end(host: LabHost, words: Sequence[str] = ("apply", "-y")) -> None:
    """The next run ends well, the one after it changes nothing, and the engine serves."""
    run = rocminfra(host, *words)
    assert run.code == 0, run.err
    again = rocminfra(host, "plan", "--exit-code")
    assert again.code == 0, again.out + again.err
    status = rocminfra(host, "status")
    assert status.code == 0, status.out + status.err
    assert host.ok(HALF_WRITTEN) == ""
    asks = '{"model": "Qwen/Qwen2-VL-72B-Instruct", "prompt": "a", "max_tokens": 4}'
    program = (
        "import urllib.request as u; r = u.Request('http://127.0.0.1:8000/v1/completions', "
        f"data={asks!r}.encode(), headers={{'Content-Type': 'application/json'}}); "
        "print(u.urlopen(r, timeout=60).read().decode())"
    )
    answer = host.ok(f"cat <<'EOF' | python3 -\n{program}\nEOF")
    assert json.loads(answer)["usage"]["completion_tokens"] == 4
