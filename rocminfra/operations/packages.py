"""Debian packages, on hosts that may have booted a moment ago."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra import host_paths
from rocminfra.facts.packages import InstalledPackages
from rocminfra.operations import fresh_host
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import fail

# Unattended upgrades may begin at any time and hold apt's lock.
LOCK_TIMEOUT_S = 600

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

    An index that was updated within the last hour, by this or by pyinfra's ``apt.packages``, is
    new enough: one run has one ``apt-get update``. When it was not (a package is gone from the
    mirror), it is updated and the installation tried again.

    pyinfra's ``apt.packages`` has no lock time-out and fails at once on a host that is still
    booting.
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
    apt = f"DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout={LOCK_TIMEOUT_S}"
    update = f"{apt} update -qq && touch {UPDATED}"
    names = shlex.join(missing)
    install = f"{apt} install -y -qq --no-install-recommends {names}"
    if maybe:
        # Only an index that is new says what the release has, so the host finds out.
        offered = f"{apt} install -qq --dry-run $package >/dev/null 2>&1 && echo $package"
        install += f" $(for package in {shlex.join(maybe)}; do {offered}; done)"
    is_new = f'test -n "$(find {UPDATED} {PYINFRA_UPDATED} -mmin -{INDEX_MINUTES} 2>/dev/null)"'
    yield StringCommand(
        f"{{ if {is_new} && {apt} install -qq --dry-run {names} >/dev/null 2>&1;",
        f"then {install} || {{ {update} && {install}; }}; else {update} && {install}; fi; }}",
        "|| { code=$?; echo apt could not install",
        QuoteString(" ".join(missing or maybe)),
        ">&2; echo 'next: apt-get update on the host, to see whether its package index answers'",
        ">&2; exit $code; }",
    )
