"""``rocminfra droplet create`` and ``run``: what spends money, with its limits."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rocminfra.droplets import reaping
from rocminfra.droplets.clock import lasting
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.known import Known
from rocminfra.droplets.offer import DEFAULT_IMAGE, LONGEST_HOURS, Offer, Wanted, offer
from rocminfra.droplets.run import Job, Outcome, apply_command, create_for_person
from rocminfra.droplets.run import run as run_job
from rocminfra.failure import Do, FailedError, Failure, Fault
from rocminfra.runner.output import step_summary
from rocminfra.runner.output.droplet_json import droplet_data, offer_data
from rocminfra.runner.output.droplet_text import offer_lines, say
from rocminfra.runner.verbs.droplet_hosts import written_by_operator
from rocminfra.runner.verbs.droplet_shared import Answer, answering, cloud_options, confirmed

F = TypeVar("F", bound=Callable[..., Any])

# A droplet's name is its host name.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


def creation_options(function: F) -> F:
    """Options of what creates droplets."""
    for option in reversed(
        (
            click.option("--name", metavar="NAME", help="default: one that is not taken"),
            click.option("--size", metavar="SLUG", help="default: the cheapest with one MI300X"),
            click.option("--region", metavar="SLUG", help="default: any that has the size"),
            click.option("--image", metavar="SLUG", default=DEFAULT_IMAGE, show_default=True),
            click.option(
                "--ssh-key",
                "ssh_keys",
                multiple=True,
                metavar="KEY",
                help="name, id or fingerprint in the account; default: those in ~/.ssh",
            ),
            click.option(
                "--identity",
                type=click.Path(path_type=Path, exists=True, dir_okay=False),
                help="private key to log in with; default: what ssh finds",
            ),
            click.option(
                "--max-hours",
                type=click.FloatRange(0, LONGEST_HOURS, min_open=True),
                help="how long it may live; default: what --max-usd allows, 3 at most",
            ),
            click.option(
                "--max-usd",
                type=click.FloatRange(0, min_open=True),
                help="what it may cost at most",
            ),
            click.option(
                "--keep-on-failure",
                is_flag=True,
                help="leave it when something goes wrong; it keeps costing money",
            ),
            click.option("-y", "--yes", is_flag=True, help="do not ask"),
        )
    ):
        function = option(function)
    return function


@click.command()
@creation_options
@cloud_options
def create(
    identity: Path | None,
    keep_on_failure: bool,
    yes: bool,
    endpoint: str | None,
    as_json: bool,
    **wanted: Any,
) -> int:
    """Create a droplet and wait until it can be worked on.

    It lives until you destroy it: `rocminfra droplet reap` does that when its time is over, but
    somebody has to run it (docs/ci.md has a scheduled one).
    """

    def work(cloud: Cloud) -> Answer:
        chosen = _agreed(cloud, identity, wanted, yes, "rocminfra droplet create")
        key = str(identity) if identity is not None else None
        arrived = create_for_person(cloud, chosen, key, keep_on_failure)
        say(f"it costs money until: rocminfra droplet destroy {chosen.name}")
        say(f"next: rocminfra apply --limit {chosen.name}")
        item = droplet_data(Known(arrived.droplet, arrived.entry), cloud.clock.now())
        content = {"droplets": [item], "offer": offer_data(chosen)}
        return Answer(lines=(f"{chosen.name}\t{arrived.login.address}",), content=content)

    return answering("droplet create", endpoint, as_json, work)


@click.command(context_settings={"allow_interspersed_args": False})
@creation_options
@click.option("--no-apply", is_flag=True, help="do not apply the playbook before COMMAND")
@click.option("--data", multiple=True, metavar="KEY=VALUE", help="settings for apply")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), default="results")
@cloud_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    identity: Path | None,
    keep_on_failure: bool,
    yes: bool,
    no_apply: bool,
    data: tuple[str, ...],
    results: Path,
    endpoint: str | None,
    as_json: bool,
    command: tuple[str, ...],
    **wanted: Any,
) -> int:
    """Create a droplet, apply the playbook, run COMMAND, and destroy the droplet in any case.

    COMMAND runs on this machine with the droplet as its only host, such as `rocminfra bench`; its
    exit code is this one's. The droplet is destroyed also after a failure, Ctrl-C, SIGTERM and a
    closed terminal; after a kill -9 the next `run` or `reap` finds it.
    """

    def work(cloud: Cloud) -> Answer:
        chosen = _agreed(cloud, identity, wanted, yes, "rocminfra droplet run")
        defaults, own = written_by_operator(chosen.name, os.environ)
        job = Job(
            command=command,
            apply=() if no_apply else apply_command(data),
            keep_on_failure=keep_on_failure,
            identity=str(identity) if identity is not None else None,
            defaults=defaults,
            own=own,
            results=results,
            stdout=sys.stderr if as_json else None,
        )
        before = step_summary.run_folders(results)
        outcome = run_job(cloud, chosen, job, os.environ)
        runs = [path for path in step_summary.run_folders(results) if path not in before]
        summary = _summary(chosen, outcome, command)
        for line in summary:
            say(line)
        tables = step_summary.measured(runs)
        step_summary.append(os.environ, "rocminfra droplet run", [*summary, *tables])
        content = {
            "offer": offer_data(chosen),
            "run": {
                "seconds": outcome.seconds,
                "usd": outcome.usd,
                "collected": str(outcome.collected) if outcome.collected else None,
                "results": [str(path) for path in runs],
            },
        }
        return Answer(outcome.code, tuple(tables), content, outcome.failures)

    return answering("droplet run", endpoint, as_json, work)


def _agreed(
    cloud: Cloud, identity: Path | None, wanted: dict[str, Any], yes: bool, command: str
) -> Offer:
    """What the operator agreed to; leftovers of killed runs are destroyed before."""
    cloud.ledger.checked()
    reaping.reap(cloud, reaping.doomed(cloud, expired=False))
    name = wanted.pop("name") or f"mi300x-{secrets.token_hex(3)}"
    if not _NAME.match(name):
        raise FailedError.of(
            Failure(
                Fault.DROPLET_NAME_INVALID,
                f"'{name}' cannot be a droplet's name: small letters, digits and hyphens",
                next=Do("--name mi300x-1"),
            )
        )
    asked = Wanted(name=name, **wanted)
    client = cloud.client
    chosen = offer(asked, client.sizes(), client.images(), client.ssh_keys(), _keys(identity))
    if isinstance(chosen, Failure):
        raise FailedError.of(chosen)
    for line in offer_lines(chosen, cloud.account, client.access.host):
        say(line)
    confirmed(f"create it for up to ${chosen.usd:.2f}?", yes, command)
    return chosen


def _keys(identity: Path | None) -> list[str]:
    """Public keys of the operator: of the identity that was named, or all of ~/.ssh."""
    if identity is not None:
        files = [identity.with_name(f"{identity.name}.pub")]
    else:
        files = sorted((Path.home() / ".ssh").glob("*.pub"))
    found = []
    for file in files:
        try:
            found.append(file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _summary(chosen: Offer, outcome: Outcome, command: tuple[str, ...]) -> list[str]:
    entry = outcome.entry
    lines = [f"`{shlex.join(command)}` ended with exit code {outcome.code}"]
    if entry is None or entry.id is None:
        return [*lines, "no droplet was created; nothing was spent"]
    end = entry.closed or "STILL THERE"
    lines.append(
        f"droplet {entry.label}: {end}, {lasting(outcome.seconds)}, ${outcome.usd:.2f} "
        f"of at most ${chosen.usd:.2f}"
    )
    if outcome.collected is not None:
        lines.append(f"logs: {outcome.collected}")
    return lines
