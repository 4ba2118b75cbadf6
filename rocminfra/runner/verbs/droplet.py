"""``rocminfra droplet``: droplets of the cloud, what they cost, and their end."""

from __future__ import annotations

import os

import click

from rocminfra.droplets import tags
from rocminfra.droplets.arrival import login_to
from rocminfra.droplets.cloud import Cloud, Login
from rocminfra.droplets.destruction import destroy as end_of
from rocminfra.droplets.destruction import destroy_entry
from rocminfra.droplets.known import Known, known, named
from rocminfra.droplets.ledger import damaged_failure
from rocminfra.droplets.reaping import close_what_is_gone, doomed, foreign_failure
from rocminfra.droplets.reaping import reap as reap_all
from rocminfra.droplets.ssh_reach import ssh_command
from rocminfra.failure import Do, ExitCode, FailedError, Failure, Fault
from rocminfra.runner.output.droplet_json import droplet_data, image_data, size_data
from rocminfra.runner.output.droplet_text import droplet_lines, image_lines, say, size_lines
from rocminfra.runner.verbs.droplet_create import create, run
from rocminfra.runner.verbs.droplet_shared import Answer, answering, cloud_options, confirmed

EPILOG = """\b
export ROCMINFRA_DROPLET_TOKEN_FILE=~/.config/rocminfra/token
rocminfra droplet sizes
rocminfra droplet run --max-usd 6 -- rocminfra bench --scenario synthetic_sweep

\b
A droplet costs money from its creation until it is destroyed, also while it is powered off.
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def droplet() -> None:
    """Droplets of the AMD Developer Cloud: create, use, and destroy for certain."""


droplet.add_command(create)
droplet.add_command(run)


@droplet.command()
@click.option("--all", "every", is_flag=True, help="also sizes without a GPU")
@click.option("--images", is_flag=True, help="images instead of sizes")
@cloud_options
def sizes(every: bool, images: bool, endpoint: str | None, as_json: bool) -> int:
    """Say what there is, what it costs, and which regions have it now."""

    def work(cloud: Cloud) -> Answer:
        if images:
            found = cloud.client.images()
            shown = [image_data(item) for item in found]
            return Answer(lines=tuple(image_lines(found)), content={"images": shown})
        kinds = [size for size in cloud.client.sizes() if size.gpus or every]
        if not kinds:
            say(
                f"team '{cloud.account.name}' sees no size with a GPU at {cloud.client.access.host}"
            )
        return Answer(
            lines=tuple(size_lines(kinds)), content={"sizes": [size_data(item) for item in kinds]}
        )

    return answering("droplet sizes", endpoint, as_json, work)


@droplet.command(name="list")
@click.option("--all", "every", is_flag=True, help="also droplets that rocminfra did not make")
@cloud_options
def list_(every: bool, endpoint: str | None, as_json: bool) -> int:
    """Say which droplets there are and what each has cost up to now."""

    def work(cloud: Cloud) -> Answer:
        running = cloud.client.droplets()
        close_what_is_gone(cloud, running)
        everything = known(cloud, running)
        found = [item for item in everything if every or item.is_ours]
        now = cloud.clock.now()
        others = len(everything) - len(found)
        if others:
            say(f"{others} more in team '{cloud.account.name}' were not made by rocminfra: --all")
        if not found:
            say(f"no droplet of ours in team '{cloud.account.name}'")
        lines = droplet_lines(found, now) if found else []
        data = [droplet_data(item, now) for item in found]
        return Answer(lines=tuple(lines), content={"droplets": data}, failures=_doubts(cloud))

    return answering("droplet list", endpoint, as_json, work)


@droplet.command()
@click.argument("name")
@cloud_options
def show(name: str, endpoint: str | None, as_json: bool) -> int:
    """Say everything about the droplet with this NAME or id."""

    def work(cloud: Cloud) -> Answer:
        data = droplet_data(named(cloud, name), cloud.clock.now())
        lines = [f"{key.replace('_', ' ')}: {_words(value)}" for key, value in data.items()]
        return Answer(lines=tuple(lines), content={"droplets": [data]})

    return answering("droplet show", endpoint, as_json, work)


@droplet.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--endpoint", metavar="URL", help="the cloud's API")
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(endpoint: str | None, name: str, command: tuple[str, ...]) -> int:
    """Log in to droplet NAME, or run COMMAND there; its exit code is this one's."""
    logins: list[Login] = []

    def work(cloud: Cloud) -> Answer:
        item = named(cloud, name)
        if item.droplet is None or item.droplet.address is None:
            raise FailedError.of(
                Failure(
                    Fault.DROPLET_NO_ADDRESS,
                    f"droplet {item.label} has no address yet",
                    next=Do(f"rocminfra droplet show {name}"),
                )
            )
        if item.entry is not None and item.entry.host_key is not None:
            logins.append(login_to(cloud, item.entry, item.droplet))
        else:
            raise FailedError.of(_unpinned(item, item.droplet.address))
        return Answer()

    code = answering("droplet ssh", endpoint, False, work)
    if code == ExitCode.DONE:
        words = ssh_command(logins[0])
        os.execvp(words[0], [*words, *command])
    return code


@droplet.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@cloud_options
def destroy(names: tuple[str, ...], yes: bool, endpoint: str | None, as_json: bool) -> int:
    """Destroy droplets with everything on them, and see that they are gone."""

    def work(cloud: Cloud) -> Answer:
        found = [named(cloud, name) for name in dict.fromkeys(names)]
        for item in found:
            if not item.is_ours:
                raise FailedError.of(_not_ours(item))
        labels = ", ".join(item.label for item in found)
        question = f"destroy {labels} with everything on it?"
        confirmed(question, yes, f"rocminfra droplet destroy {' '.join(names)}")
        failures = []
        for item in found:
            try:
                _destroy(cloud, item)
            except FailedError as error:
                failures.append(error.failure)
        code = failures[-1].kind if failures else ExitCode.DONE
        return Answer(code, failures=tuple(failures))

    return answering("droplet destroy", endpoint, as_json, work)


@droplet.command()
@click.option("--dry-run", is_flag=True, help="only say what would be destroyed")
@cloud_options
def reap(dry_run: bool, endpoint: str | None, as_json: bool) -> int:
    """Destroy droplets that are past their time, or left by a run that was killed.

    Others are never touched: a droplet has to have our tags, or to be in our ledger.
    """

    def work(cloud: Cloud) -> Answer:
        close_what_is_gone(cloud, cloud.client.droplets())
        found = doomed(cloud)
        if not found:
            say("nothing to destroy")
        if dry_run:
            lines = tuple(f"{item.label}: {item.reason}" for item in found)
            data = [{"label": item.label, "reason": item.reason} for item in found]
            return Answer(lines=lines, content={"doomed": data}, failures=_doubts(cloud))
        result = reap_all(cloud, found)
        failures = (*_doubts(cloud), *result.failures)
        code = failures[-1].kind if failures else ExitCode.DONE
        lines = tuple(f"destroyed {label}" for label in result.gone)
        return Answer(code, lines, {"gone": list(result.gone)}, failures)

    return answering("droplet reap", endpoint, as_json, work)


def _destroy(cloud: Cloud, item: Known) -> None:
    if item.entry is not None:
        destroy_entry(cloud, item.entry)
        return
    assert item.droplet is not None
    end_of(cloud, item.droplet.id, item.label, item.usd_per_hour)


def _doubts(cloud: Cloud) -> tuple[Failure, ...]:
    """What the ledger cannot say, or this token cannot see."""
    book = cloud.ledger.read()
    foreign = foreign_failure(cloud)
    damaged = damaged_failure(cloud.ledger.path, book) if book.damaged else None
    return tuple(item for item in (foreign, damaged) if item is not None)


def _not_ours(item: Known) -> Failure:
    return Failure(
        Fault.DROPLET_NOT_OURS,
        f"droplet {item.label} was not made by rocminfra",
        (f"it has no tag '{tags.OURS}' and is not in the ledger",),
        Do("destroy it in the cloud's console, if it is yours"),
    )


def _unpinned(item: Known, address: str) -> Failure:
    return Failure(
        Fault.HOST_KEY_UNKNOWN,
        f"the host key of droplet {item.label} is not known here: it was created elsewhere",
        next=Do(f"ssh root@{address}   # and compare the key yourself"),
    )


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "-"
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
