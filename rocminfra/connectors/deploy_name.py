"""The name of a deploy, which identifies its learned list across runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from pyinfra.api import State


def deploy_name(state: State) -> str | None:
    """Name of the deploy, stable across runs; None when there is nothing to learn.

    Under the ``pyinfra`` command, it consists of the deploy files on the command line (a connector
    is created before any of them is loaded). A run of a single operation, command or fact is not a
    deploy. A program that uses :mod:`pyinfra.api` goes by its own name.
    """
    context = click.get_current_context(silent=True)
    operations = context.params.get("operations") if context is not None else None
    if operations is None:
        return json.dumps(["program", Path(sys.argv[0]).name if sys.argv else ""])
    if not all(isinstance(name, str) and name.endswith(".py") for name in operations):
        return None
    folder = Path(state.cwd or ".")
    return json.dumps([str((folder / name).resolve()) for name in operations])
