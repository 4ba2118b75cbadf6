"""Debian packages, on hosts that may have booted a moment ago."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.packages import InstalledPackages
from rocminfra.operations.commands import Commands

# A fresh droplet runs cloud-init and unattended upgrades, which hold apt's lock.
CLOUD_INIT_TIMEOUT_S = 900
LOCK_TIMEOUT_S = 600


@operation()
def present(packages: Sequence[str]) -> Commands:
    """Ensure that Debian packages are installed; the index is updated only if one is missing.

    + packages: names

    pyinfra's ``apt.packages`` has no lock time-out and fails at once on a host that is still
    booting.
    """
    installed = host.get_fact(InstalledPackages, packages=list(packages))
    missing = [package for package in packages if package not in installed]
    if not missing:
        host.noop(f"installed: {', '.join(packages)}")
        return
    yield StringCommand(
        "! command -v cloud-init >/dev/null ||",
        # cloud-init's exit code tells of its own modules, not of this wait.
        f"timeout {CLOUD_INIT_TIMEOUT_S} cloud-init status --wait >/dev/null || true",
    )
    apt = f"DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout={LOCK_TIMEOUT_S}"
    yield StringCommand(f"{apt} update -qq")
    yield StringCommand(
        f"{apt} install -y -qq --no-install-recommends",
        *(QuoteString(package) for package in missing),
        "|| { code=$?; echo apt could not install",
        QuoteString(" ".join(missing)),
        ">&2; echo 'next: apt-get update on the host, to see whether its package index answers'",
        ">&2; exit $code; }",
    )
