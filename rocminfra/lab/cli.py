"""``rocminfra lab``: practice droplets on this machine."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from rocminfra.failure import Do, FailedError, Fault, lines
from rocminfra.lab import cleaning, droplet_record, droplets, keys, logs, status
from rocminfra.lab.droplets import Wanted
from rocminfra.lab.paths import default_paths


def _reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """End the command with a failure's message and exit code instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except FailedError as error:
            _end(error)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            _end(_no_room(error))

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """Practice droplets on this machine: real systemd, SSH, disk and Docker, simulated GPU."""


@lab.command()
@click.option("--count", type=click.IntRange(1, 50), default=None, help="How many; 1 by default.")
@click.option("--name", "names", multiple=True, help="Name of the droplet; may be repeated.")
@click.option(
    "--disk-gib",
    type=click.IntRange(1),
    default=droplets.DISK_GIB,
    show_default=True,
    help="Size of the scratch disk /dev/vdc; it is sparse.",
)
@click.option(
    "--time-scale",
    type=click.FloatRange(0.1, 1000),
    default=droplets.TIME_SCALE,
    show_default=True,
    help="How much faster than real ones engine and GPU are.",
)
@click.option(
    "--rocm",
    type=click.Choice(["6", "7"]),
    default=str(droplets.ROCM),
    show_default=True,
    help="Generation whose JSON shapes amd-smi prints.",
)
@click.option(
    "--release",
    metavar="CODENAME",
    help="Release of the droplets, such as bullseye or trixie; this machine's own by default.",
)
@_reports_errors
def up(
    count: int | None,
    names: tuple[str, ...],
    disk_gib: int,
    time_scale: float,
    rocm: str,
    release: str | None,
) -> None:
    """Make droplets and wait until their SSH answers."""
    paths = default_paths()
    if names and count is not None and count != len(names):
        raise FailedError(
            Fault.LAB_OPTION_INVALID,
            f"--count {count} does not fit {len(names)} --name",
            next=Do("give one of the two"),
        )
    chosen = names or droplets.free_names(paths, count or 1)
    wanted = Wanted(disk_gib, time_scale, int(rocm), release)
    made = droplets.up(paths, chosen, wanted, _say)
    for droplet in made:
        click.echo(f"{droplet.name}\t{droplet.address}")
    _say(f"next: rocminfra lab ssh {made[0].name}, or: pyinfra -y inventory/lab.py deploy.py")


@lab.command()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every droplet.")
@click.option("--if-exists", is_flag=True, help="Succeed if the droplet does not exist.")
@_reports_errors
def down(names: tuple[str, ...], every: bool, if_exists: bool) -> None:
    """Take droplets away, with everything on them."""
    paths = default_paths()
    known = droplet_record.names(paths)
    if not names and not every:
        raise FailedError(
            Fault.LAB_OPTION_INVALID,
            "which droplet?",
            (f"there are: {', '.join(known) or 'none'}",),
            Do("rocminfra lab down NAME, or: rocminfra lab down --all"),
        )
    for name in known if every else names:
        if if_exists and name not in known:
            continue
        droplets.down(paths, name, _say)


@lab.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--user", type=click.Choice(["root", "ops"]), default="root", show_default=True)
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@_reports_errors
def ssh(user: str, name: str, command: tuple[str, ...]) -> None:
    """Log in, or run COMMAND; its exit code is this one's."""
    paths = default_paths()
    droplet = droplet_record.load(paths, name)
    droplets.refuse_dead(paths, name)
    words = keys.ssh_command(paths, droplet, user)
    sys.stdout.flush()
    os.execvp(words[0], [*words, *command])


@lab.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="As data, for programs.")
@_reports_errors
def status_(as_json: bool) -> None:
    """Say which droplets there are and how they are."""
    found = status.read(default_paths())
    if as_json:
        click.echo(json.dumps({"droplets": [item.as_data() for item in found]}, indent=2))
        return
    for item in found:
        click.echo(f"{item.name}\t{item.state}\t{item.address or '-'}\t{item.disk or '-'}")
    if not found:
        _say("no droplet is up\nnext: rocminfra lab up")


@lab.command(name="reset-disk")
@click.argument("name")
@_reports_errors
def reset_disk(name: str) -> None:
    """Make a droplet's scratch disk blank again; what uses it is stopped."""
    droplets.reset_disk(default_paths(), name, _say)


@lab.command(name="logs")
@click.argument("name")
@_reports_errors
def logs_(name: str) -> None:
    """Show everything of a droplet that went wrong."""
    for line in logs.collect(default_paths(), name):
        click.echo(line)


@lab.command()
@click.option("--cache", is_flag=True, help="The cache as well; the next `up` takes minutes.")
@click.option("--dead", is_flag=True, help="Only what killed runs left; what runs stays.")
@_reports_errors
def clean(cache: bool, dead: bool) -> None:
    """Take everything of the lab away, also what a killed run left."""
    if cache and dead:
        raise FailedError(Fault.LAB_OPTION_INVALID, "--cache does not go with --dead")
    cleaning.clean(default_paths(), cache, _say, dead)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _end(error: FailedError) -> NoReturn:
    click.echo("\n".join(lines(error.failure)), err=True)
    raise click.exceptions.Exit(error.failure.kind)


def _no_room(error: OSError) -> FailedError:
    """A disk that filled up while something was made; what was made has been removed by then."""
    paths = default_paths()
    return FailedError(
        Fault.LAB_FILE,
        f"{error.strerror}: {error.filename or 'a file of the lab'}",
        next=Do(f"make room: df -h {paths.state.parent} {paths.cache.parent}"),
    )
