"""Programs that operations run: installed where they are missing, and there afterwards."""

from __future__ import annotations

from pyinfra import host, state

from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.programs import HostPrograms
from rocminfra.failure import Do, Failure, Fault
from rocminfra.operations import packages
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import fail
from rocminfra.planning.programs import Need


def ensure(need: Need) -> Commands:
    """Commands, for an operation to yield, after which the programs of ``need`` are there.

    Packages are installed only when something is missing. What is missing even then fails the
    host, with the packages named: before an operation meets it as ``not found``.
    """
    if not _missing(need):
        return
    yield from packages.present._inner(
        packages=list(need.packages), where_offered=list(need.where_offered)
    )
    if not state.is_executing:
        return
    missing = _missing(need)
    if missing:
        wanted = [*need.packages, *need.where_offered]
        installed = host.get_fact(InstalledPackages, packages=wanted)
        yield fail(still_missing(missing, [name for name in wanted if name in installed]))


def still_missing(missing: tuple[str, ...], installed: list[str]) -> Failure:
    """The failure of a host that lacks programs although their packages are installed.

    + missing: programs and modules
    + installed: packages
    """
    names = " ".join(installed)
    return Failure(
        Fault.PROGRAMS_MISSING,
        f"not on the host although {', '.join(installed) or 'apt succeeded'} "
        f"{'is' if len(installed) == 1 else 'are'} installed: {', '.join(missing)}",
        ("this release may have it in a package of another name, or its files were removed",),
        Do(
            f"on the host: apt-get install --reinstall {names}; "
            f"or install the package that has {missing[0]}"
        ),
    )


def _missing(need: Need) -> tuple[str, ...]:
    found = host.get_fact(HostPrograms, programs=list(need.programs), modules=list(need.modules))
    return need.missing(found)
