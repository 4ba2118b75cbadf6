"""Asks a host facts twice, from a batch and live, and prints both as JSON.

    python connector_program.py REQUEST

A program of its own, because pyinfra wants gevent's patches before anything else is imported.
REQUEST is JSON: ``data`` (of the host), ``questions`` (list of fact, arguments, global arguments).
Printed is a list with, for each question, ``fact``, ``batch``, ``live`` (exit status good, lines of
stdout, lines of stderr), ``values`` (type and representation of the fact's value, both times) and
``batched`` (whether the first did not go over SSH on its own).
"""

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from typing import Any  # noqa: E402

from pyinfra.api import Config, Inventory, State  # noqa: E402
from pyinfra.api.connect import connect_all, disconnect_all  # noqa: E402
from pyinfra.connectors.ssh import SSHConnector  # noqa: E402
from pyinfra.context import ctx_host, ctx_state  # noqa: E402

from rocminfra.connectors import batched_ssh, host_facts  # noqa: E402
from rocminfra.connectors.batched_ssh import BatchedSSHConnector  # noqa: E402

live_commands = 0
results: list[tuple[bool, list[str], list[str]]] = []


def main(request: dict[str, Any]) -> None:
    questions = [
        (find(fact), arguments, global_arguments)
        for fact, arguments, global_arguments in request["questions"]
    ]
    count_live_commands()
    record_results()
    # Slow facts are left out of lists on purpose; here every fact is to go through a batch.
    host_facts.SLOW_SECONDS = float("inf")
    with connected(request["data"]) as host:
        for question in questions:
            ask(host, *question)
    with connected(request["data"]) as host:
        batch = []
        for question in questions:
            before = live_commands
            batch.append((*ask(host, *question), live_commands == before))
        host.connector.facts.changed()
        host.connector.facts._again = float("inf")
        live = [ask(host, *question) for question in questions]
    print(
        json.dumps(
            [
                {
                    "fact": f"{fact.__module__}.{fact.__name__}",
                    "batch": from_batch[0],
                    "live": from_live[0],
                    "values": [from_batch[1], from_live[1]],
                    "batched": from_batch[2],
                }
                for (fact, _, _), from_batch, from_live in zip(questions, batch, live, strict=True)
            ]
        )
    )


def find(name: str) -> Any:
    module, _, fact = name.rpartition(".")
    return vars(importlib.import_module(module))[fact]


@contextmanager
def connected(data: dict[str, Any]) -> Iterator[Any]:
    inventory = Inventory(([("@rocminfra/measured", data)], {}))
    state = State(inventory, Config())
    with ctx_state.use(state):
        connect_all(state)
        host = inventory.get_host("measured")
        with ctx_host.use(host):
            yield host
        disconnect_all(state)


def ask(host: Any, fact: Any, arguments: dict[str, Any], global_arguments: dict[str, Any]) -> Any:
    """Result of the fact's command, and the type and representation of its value."""
    results.clear()
    try:
        value = host.get_fact(fact, **arguments, **global_arguments, _ignore_errors=True)
        shown = [type(value).__name__, json.dumps(value, default=repr, sort_keys=True)]
    except Exception as error:
        shown = [type(error).__name__, str(error)]
    return (results[-1] if results else None), shown


def count_live_commands() -> None:
    run_shell_command = SSHConnector.run_shell_command

    def counting(*args: Any, **kwargs: Any) -> Any:
        global live_commands
        live_commands += 1
        return run_shell_command(*args, **kwargs)

    SSHConnector.run_shell_command = counting  # type: ignore[method-assign]


def record_results() -> None:
    run_shell_command = batched_ssh.BatchedSSHConnector.run_shell_command

    def recording(*args: Any, **kwargs: Any) -> Any:
        status, output = run_shell_command(*args, **kwargs)
        results.append((status, output.stdout_lines, output.stderr_lines))
        return status, output

    BatchedSSHConnector.run_shell_command = recording  # type: ignore[method-assign]


if __name__ == "__main__":
    logging.disable()
    main(json.loads(sys.argv[1]))
