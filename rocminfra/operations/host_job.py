"""Work on the host that takes minutes: in a unit of its own, watched from here by short questions.

A lost connection ends neither the work nor leaves anything behind that waits for it: the unit goes
on, and the next run watches it, or ends it when something else is wanted by then.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from pyinfra import logger
from pyinfra.api.host import Host

from rocminfra.host_paths import JOBS
from rocminfra.operations.fresh_host import Time
from rocminfra.operations.progress import is_heard, tell
from rocminfra.operations.run_now import ask

# A question costs a round trip; nobody should wait longer than this for a job that has ended.
PAUSE_S = 2.0
FIRST_PAUSE_S = 0.25
# Nothing is silent for longer.
SPEAK_S = 10.0
# Questions in a row that get no answer: what is wrong then is the connection.
MOST_UNANSWERED = 3
_LINES = 40
# Of the login's environment a unit gets only this: proxies, certificates, settings of pip and where
# registries' logins are.
_HANDED = (
    "^(export|declare -x) ((all|ftp|http|https|no)_proxy|HOME|DOCKER_CONFIG|PIP_[A-Z_]+|"
    "SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE)="
)


@dataclass(frozen=True)
class Job:
    """A unit that is to run once.

    + unit: its name, without ``.service``
    + script: what ``sh`` runs in it; it finds ``$JOB``, the path at which its files begin, and
      what it writes to ``$JOB.status`` is what :func:`watch` passes to ``shown``
    + doing: what is waited for, such as "apt installs docker.io"
    + target: what it works for; a job that runs for another target is not ours
    """

    unit: str
    script: str
    doing: str
    target: str = ""


@dataclass(frozen=True)
class Shown:
    """How far a job is, in words and, where that is known, in bytes."""

    words: str
    done_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True)
class Running:
    """A job that has not ended.

    + target: what it works for; None where that is not written down
    + status: what it says of itself
    """

    target: str | None
    status: str


@dataclass(frozen=True)
class Ended:
    """A job that has ended, or that never ran.

    + code: its exit code; None when it ended without one (killed, or the host went down), or when
      it was never started
    + status: what it said of itself last
    + log: its last lines
    """

    code: int | None
    status: str = ""
    log: tuple[str, ...] = ()


def files(unit: str) -> str:
    """Where the paths of a job's files begin, such as ``….status``."""
    return f"{JOBS}/{unit}"


def start(host: Host, job: Job, secret: str = "") -> Ended | None:
    """Start a job that does not run; None when it has begun, else why it has not.

    + secret: a line of shell that the script begins with, such as ``export HF_TOKEN=…``. It goes
      from pipe to pipe, so that it is in no argument, no unit and no file.

    Proxies and the like of the login's environment are handed on; a unit has none of it.
    """
    answer = ask(host, start_script(job), stdin=f"{secret}\n")
    return None if answer.succeeded else Ended(None, log=answer.err or answer.out)


def start_script(job: Job) -> str:
    """Shell text that starts a job and hands it the line on its standard input."""
    base = files(job.unit)
    body = (
        f'export JOB={base}; eval "$(timeout 30 cat {base}.pipe)"; rm -f {base}.pipe; '
        f"( {job.script}\n) >{base}.log 2>&1 </dev/null; echo $? >{base}.new; "
        f"mv {base}.new {base}.code"
    )
    # systemd expands variables in a unit's command.
    words = shlex.join(["sh", "-c", body.replace("$", "$$")])
    return (
        # A look that got no answer does not know; the files of one that runs are left alone.
        f"IFS= read -r line; if systemctl is-active --quiet {job.unit}; then "
        f"echo {job.unit} runs already >&2; exit 1; fi; "
        f"mkdir -p -m 700 {JOBS} && rm -f {base}.* && "
        f"printf '%s' {shlex.quote(job.target)} >{base}.target && mkfifo -m 600 {base}.pipe && "
        f"systemd-run --quiet --collect --unit={job.unit} "
        f"--description={shlex.quote(f'rocminfra: {job.doing}')} {words} && "
        f"{{ export -p | grep -iE '{_HANDED}'; printf '%s\\n' \"$line\"; }} | "
        f"timeout 30 sh -c 'cat >{base}.pipe'"
    )


def look(host: Host, unit: str) -> Running | Ended | None:
    """How a job is; None when the host did not answer."""
    base = files(unit)
    answer = ask(
        host,
        f"case $(systemctl show --property ActiveState --value {unit}) in "
        f"active|activating|deactivating|reloading) echo running;; *) echo ended "
        f"$(cat {base}.code 2>/dev/null);; esac; "
        f"if test -e {base}.target; then echo yes; cat {base}.target; echo; else echo no; echo; "
        f"fi; tail -n 1 {base}.status 2>/dev/null || echo; tail -n {_LINES} {base}.log "
        "2>/dev/null || true",
    )
    if not answer.succeeded or len(answer.out) < _HEAD:
        return None
    state, is_named, target, status, *log = answer.out
    if state == "running":
        return Running(target if is_named == "yes" else None, status)
    code = state.partition(" ")[2]
    return Ended(int(code) if code.isdigit() else None, status, tuple(log))


_HEAD = 4


def watch(
    host: Host,
    job: Job,
    deadline_s: float,
    shown: Callable[[str, float], Shown] | None = None,
    clock: Time | None = None,
) -> Ended | Running | None:
    """Wait until a job has ended, and say every ten seconds how far it is.

    + deadline_s: how long that may take from now; a job that runs even then is returned as it is
    + shown: what to say, of the job's own words and the seconds that have passed; None says
      ``doing`` and the seconds

    None when the host no longer answers; the job goes on there.
    """
    clock = clock or Time()
    began = clock.now()
    spoke, pause, unanswered = began, FIRST_PAUSE_S, 0
    while True:
        found = look(host, job.unit)
        now = clock.now()
        if isinstance(found, Ended):
            return found
        unanswered = 0 if found is not None else unanswered + 1
        if unanswered >= MOST_UNANSWERED or (found is not None and now - began >= deadline_s):
            return found
        if found is not None:
            plain = Shown(f"{job.doing}: {now - began:.0f} s")
            says = shown(found.status, now - began) if shown else plain
            if is_heard(host):
                tell(
                    host,
                    note=says.words,
                    done_bytes=says.done_bytes,
                    total_bytes=says.total_bytes,
                )
            elif now - spoke >= SPEAK_S - PAUSE_S:
                spoke = now
                host.log(says.words, logger.info)
        clock.sleep(pause)
        pause = min(PAUSE_S, pause * 2)


def stop(host: Host, unit: str) -> bool:
    """End a job and everything that it has started, and remove its files."""
    return ask(host, f"systemctl stop {unit} 2>/dev/null; rm -f {files(unit)}.*").succeeded


def forget(host: Host, unit: str) -> None:
    """Remove the files of a job that has ended well, but for what it wrote."""
    base = files(unit)
    ask(host, f"rm -f {base}.code {base}.status {base}.target {base}.update")
