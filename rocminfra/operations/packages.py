"""Debian packages, on hosts that may have booted a moment ago."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra import host_paths
from rocminfra.facts.fresh_host import FreshHost
from rocminfra.facts.packages import InstalledPackages
from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.operations import fresh_host, host_job
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import fail, record
from rocminfra.operations.progress import is_heard, tell
from rocminfra.operations.run_now import ask
from rocminfra.planning.fresh_host import AptHolder

UNIT = "rocminfra-apt"
# Unattended upgrades may begin at any time, and hold any of apt's locks for as long as this.
LOCK_TIMEOUT_S = 600
# An installation that takes longer hangs.
INSTALL_TIMEOUT_S = 1800
# apt itself waits for dpkg's locks only, and this long: for a process that came in between.
_RACE_S = 30
# A source that does not answer is given up after this, and not after apt's several minutes.
_SOURCE_TIMEOUT_S = 20

# Of libc, in apt's own language here.
_NO_SPACE = "No space left on device"

# Files that say when the package index was updated: ours is gone after a reboot, the other one is
# what pyinfra's apt operations touch.
UPDATED = host_paths.APT_UPDATED
PYINFRA_UPDATED = "/var/lib/apt/periodic/update-success-stamp"
INDEX_MINUTES = 60


@operation()
def present(packages: Sequence[str], where_offered: Sequence[str] = ()) -> Commands:
    """Ensure that Debian packages are installed; the index is updated only if one is missing.

    + packages: names
    + where_offered: names that some releases have; left out on the others

    Waits for each of apt's four locks, says who holds it, and gives up after ten minutes. A source
    that does not answer is named, and does not stop a package that others have.

    An index that was updated within the last hour, by this or by pyinfra's ``apt.packages``, is
    new enough: one run has one ``apt-get update``. When it was not (a package is gone from the
    mirror), it is updated and the installation tried again. The installation runs in a unit of its
    own, so that a lost connection does not leave dpkg half way.
    """
    installed = host.get_fact(InstalledPackages, packages=[*packages, *where_offered])
    missing = [package for package in packages if package not in installed]
    maybe = [package for package in where_offered if package not in installed]
    if not missing and not maybe:
        host.noop(f"installed: {', '.join(packages)}")
        return
    # A task that runs alone has not been through the playbook's gate.
    failure = fresh_host.settle()
    if failure is not None:
        yield fail(failure)
        return
    yield FunctionCommand(_install, (tuple(missing), tuple(maybe)), {})


def script(missing: Sequence[str], maybe: Sequence[str] = ()) -> str:
    """Shell text that installs packages; what sources did not answer is in ``$JOB.status``.

    + maybe: those of them that the release has; only an index that is new says which these are
    """
    names = shlex.join(missing)
    is_new = f'test -n "$(find {UPDATED} {PYINFRA_UPDATED} -mmin -{INDEX_MINUTES} 2>/dev/null)"'
    options = (
        f"-o DPkg::Lock::Timeout={_RACE_S} -o Acquire::Retries=1 "
        f"-o Acquire::http::Timeout={_SOURCE_TIMEOUT_S} "
        f"-o Acquire::https::Timeout={_SOURCE_TIMEOUT_S} "
        # A file that somebody has changed stays as it is; nobody is there to be asked.
        "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
    )
    return f"""
export DEBIAN_FRONTEND=noninteractive LC_ALL=C NEEDRESTART_SUSPEND=1
# /tmp may be small, full, or mounted without the right to run what is there.
test -k /var/tmp && export TMPDIR=/var/tmp
apt() {{ apt-get {options} "$@"; }}
can_install() {{ apt install -qq --dry-run "$@" >/dev/null 2>&1; }}
renew() {{
    apt update -qq >"$JOB.update" 2>&1; updated=$?
    cat "$JOB.update"
    grep -E '^(W|E|Err)' "$JOB.update" | grep -v 'Some index files failed' | sort -u |
        head -n 5 | paste -s -d ';' - >"$JOB.status"
    test $updated = 0 || can_install {names} && touch {UPDATED}
    return 0
}}
install() {{
    set -- {names}
    for package in {shlex.join(maybe)}; do
        if can_install $package; then set -- "$@" $package; fi
    done
    test $# = 0 || apt install -y -qq --no-install-recommends "$@"
}}
# A host that went down while dpkg worked.
if test -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)"; then
    dpkg --force-confdef --force-confold --configure -a
fi
if {is_new} && can_install {names}; then
    install || {{ renew; install; }}
else
    renew; install
fi
"""  # noqa: S608 - an update of apt


def _install(state: State, host: Host, missing: tuple[str, ...], maybe: tuple[str, ...]) -> bool:
    failure = install(host, missing, maybe)
    if failure is None:
        return True
    record(host, failure)
    return False


def install(
    host: Host,
    missing: tuple[str, ...],
    maybe: tuple[str, ...],
    clock: fresh_host.Time | None = None,
) -> Failure | None:
    """Install packages now; why they are not, or None.

    For a function that runs while an operation does.
    """
    clock = clock or fresh_host.Time()
    began = clock.now()
    names = " ".join(missing or maybe)
    job = host_job.Job(UNIT, script(missing, maybe), f"apt installs {names}", names)
    while True:
        # Of a run that was cut off, perhaps for other packages: it has apt's locks anyway.
        earlier = host_job.watch(host, job, INSTALL_TIMEOUT_S, _earlier, clock)
        if not isinstance(earlier, host_job.Ended):
            return _unfinished(names, lost=earlier is None)
        failure = _locked(host, began, clock)
        if failure is not None:
            return failure
        ended: object = host_job.start(host, job)
        if ended is None:
            ended = host_job.watch(host, job, INSTALL_TIMEOUT_S, clock=clock)
        if not isinstance(ended, host_job.Ended):
            return _unfinished(names, lost=ended is None)
        if ended.code == 0:
            host_job.forget(host, UNIT)
            if ended.status:
                host.log(f"package sources that did not answer: {ended.status}", logger.warning)
            return None
        # Somebody took a lock after we had looked: the lists' and the archives' are not waited for
        # by apt.
        if not _holders(host, clock) or clock.now() - began >= LOCK_TIMEOUT_S:
            if ended.code is None or not _are_installed(host, missing):
                return _not_installed(names, ended)
            # apt fails as long as any package does, such as a driver that does not build.
            host_job.forget(host, UNIT)
            said = " ".join(line.strip() for line in ended.log[-4:])
            host.log(f"apt installed {names}, and has trouble with others: {said}", logger.warning)
            return None


def _are_installed(host: Host, packages: Sequence[str]) -> bool:
    """Whether all of them are there now, whatever apt says; no when none is named, or one in
    a version of its own: another one may be there."""
    if not packages or any("=" in package for package in packages):
        return False
    names = shlex.join(packages)
    found = ask(host, f"dpkg-query -W -f '${{db:Status-Status}}\\n' {names}")
    return found.succeeded and bool(found.out) and set(found.out) == {"installed"}


def _earlier(status: str, seconds: float) -> host_job.Shown:
    del status
    return host_job.Shown(f"waiting: an installation of ours is under way ({seconds:.0f} s)")


def _holders(host: Host, clock: fresh_host.Time) -> tuple[AptHolder, ...]:
    return host.get_fact(FreshHost, asked_at=clock.now()).apt


def _locked(host: Host, began: float, clock: fresh_host.Time) -> Failure | None:
    """Wait until nobody holds a lock of apt; the failure when that takes too long."""
    while True:
        holders = _holders(host, clock)
        elapsed = clock.now() - began
        if not holders:
            return None
        said = tuple(
            f"{holder.command or 'a process'} (pid {holder.pid}) holds {holder.lock}"
            for holder in holders
        )
        if elapsed >= LOCK_TIMEOUT_S:
            return Failure(
                Fault.APT_IN_USE,
                f"apt is in use by another program, for {elapsed:.0f} s now; nothing was installed",
                said,
                Again(f"wait until it has ended (on the host: ps -fp {holders[0].pid}), then"),
            )
        words = f"waiting: {'; '.join(said)} ({elapsed:.0f} s of {LOCK_TIMEOUT_S} s)"
        if is_heard(host):
            tell(host, note=words)
        else:
            host.log(words, logger.info)
        clock.sleep(fresh_host.PAUSE_S)


def _not_installed(names: str, ended: host_job.Ended) -> Failure:
    why = [line for line in ended.log if line.strip()]
    if ended.code is None:
        why.append(f"{UNIT} ended without an exit code: it was killed, or the host went down")
    if any(_NO_SPACE in line for line in why):
        return Failure(
            Fault.HOST_DISK_FULL,
            f"disk full on the host: apt could not install {names}",
            tuple(why[-20:]),
            Again("on the host, see which (df -h / /var /var/tmp) and make room, then"),
        )
    return Failure(
        Fault.PACKAGES_NOT_INSTALLED,
        f"apt could not install {names}",
        tuple(why[-20:]),
        Do("on the host: apt-get update, to see whether its package sources answer; then again"),
    )


def _unfinished(names: str, lost: bool) -> Failure:
    if lost:
        what = f"the connection was lost while apt installs {names}, which goes on there"
        return Failure(Fault.CONNECTION_LOST, what, next=Again())
    return Failure(
        Fault.APT_IN_USE,
        f"apt has not installed {names} after {INSTALL_TIMEOUT_S} s, and is still at it",
        next=Do(f"on the host: systemctl status {UNIT}; cat {host_job.files(UNIT)}.log"),
    )
