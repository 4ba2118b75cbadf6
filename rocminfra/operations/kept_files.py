"""Files as they were before a change, kept until what took their place is proven."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra.api import QuoteString, StringCommand

from rocminfra.host.programs import call


def keep(folder: str, label: str, paths: Sequence[str], note: str = "") -> StringCommand:
    """Keep files that are proven to work; those of the same label are kept already.

    + folder: where
    + label: of what is kept
    + paths: the files; one that is not there is kept as such
    + note: for whoever restores them
    """
    parent = shlex.quote(folder.rpartition("/")[0])
    return StringCommand(
        f"install -d -m 0700 {parent} &&", call("kept_files", "keep", folder, label, note, *paths)
    )


def restore(folder: str) -> StringCommand:
    """Put kept files back; they stay kept."""
    return StringCommand(call("kept_files", "restore", folder))


def drop(folder: str) -> StringCommand:
    """Keep them no longer."""
    return StringCommand("rm -rf", QuoteString(folder))
