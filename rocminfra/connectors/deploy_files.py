"""Deploy files are no modules, and Python's ``inspect`` is told so once.

For every operation of every host pyinfra looks at the call stack (``inspect.stack``), and for every
frame ``inspect`` searches the module that the frame's file belongs to. It remembers what it found,
but not that it found nothing: pyinfra executes a deploy file without importing it, so for each of
its frames every loaded module is looked at, over a thousand. With many hosts that is a fifth of all
that pyinfra does. An entry in ``inspect``'s own table says "no module" at once, which is what it
would say in the end.
"""

from __future__ import annotations

import inspect

from pyinfra.api import State

# A name that no module has.
_NO_MODULE = ""


def note_deploy_files(state: State) -> None:
    """Note the files that pyinfra is executing now."""
    try:
        table = inspect.modulesbyfile
    except AttributeError:  # it is not documented
        return
    for name in (state.current_deploy_filename, state.current_exec_filename):
        if name:
            table.setdefault(name, _NO_MODULE)
