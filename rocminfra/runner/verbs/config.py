"""``rocminfra config``: the settings of a host, and where each comes from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.asking import answer_with, hosts_argument
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch

if TYPE_CHECKING:
    from rocminfra.runner.hosts.asking import Answered
    from rocminfra.runner.hosts.effective import Effective
    from rocminfra.runner.run.session import Progress


@command(
    "rocminfra config mi300x-1",
    "rocminfra config --changed",
    "rocminfra config --key 'vllm.*' --data vllm.max_num_seqs=32",
)
@hosts_argument
@click.option("--changed", is_flag=True, help="only what is no default")
@click.option(
    "--key", "keys", multiple=True, metavar="PATTERN", help="only these keys; may be repeated"
)
@host_options
def config(
    hosts: tuple[str, ...],
    changed: bool,
    keys: tuple[str, ...],
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Say which settings a host has, and where each comes from.

    That is a default, a file and line, a variable, --data, or the inventory. Nothing is connected
    to. What may be a secret is not shown.
    """
    patch()
    import os

    from rocminfra.runner.hosts.asking import Answered, request_of
    from rocminfra.runner.hosts.effective import DEFAULT, effective, sources_of
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.session import Session

    options = Options(inventory, (*limit, *hosts), data, verbosity=verbose)

    def wanted(one: Effective) -> bool:
        named = not keys or any(fnmatchcase(one.key, pattern) for pattern in keys)
        return named and not (changed and one.origin == DEFAULT)

    def work(progress: Progress) -> tuple[Answered[tuple[Effective, ...]], ...]:
        request = request_of("config", options)
        with Session(request, progress) as session:
            sources = sources_of(request.inventory, request.data, os.environ)
            return tuple(
                Answered(host.name, tuple(filter(wanted, effective(host, sources))))
                for host in session.hosts
            )

    def body(found: tuple[Effective, ...] | None) -> dict[str, Any]:
        return {"settings": [dataclasses.asdict(one) for one in found or ()]}

    return answer_with("config", as_json, work, body, _print)


def _print(answers: Sequence[Answered[tuple[Effective, ...]]]) -> None:
    import sys

    from rocminfra.runner.output.tables import table_lines
    from rocminfra.runner.output.terminal import styled

    for answered in answers:
        print(styled(answered.name, "bold", sys.stdout))
        rows = [(one.key, _words(one.value), one.origin) for one in answered.answer or ()]
        print(*(table_lines(rows, indent=2) or ["  nothing"]), sep="\n")


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
