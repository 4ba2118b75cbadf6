"""The settings of the host that pyinfra is preparing.

A task begins with::

    from rocminfra.operations.host_settings import current

    settings = current()

Under plain pyinfra this is where ``--data`` is checked: pyinfra loads inventories without it and
lets unknown keys pass. It happens while operations are prepared, so before the first of them, on
any host, has changed anything.
"""

from __future__ import annotations

from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import host, state

from rocminfra.operations.host_failures import name_failed_operations, speak_of_settings
from rocminfra.settings import Settings
from rocminfra.settings.argument_names import SETTING_OF
from rocminfra.settings.load import load_pyinfra_settings
from rocminfra.settings.problems import Problem, SettingsError


class InvalidSettings(PyinfraError):
    """A host's data cannot be used as settings; pyinfra shows it without a traceback.

    + problems: all of them, for the runner
    """

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        lines = "\n".join(f"    {problem}" for problem in problems)
        super().__init__(f"the settings of {name} cannot be used:\n{lines}")


def current() -> Settings:
    """Settings of pyinfra's current host.

    Raises :class:`InvalidSettings`. That ends the run of all hosts, which is wanted here: nothing
    has been changed yet, and ``--data`` concerns them all.
    """
    # Every task begins here.
    name_failed_operations(state)
    speak_of_settings(host, SETTING_OF)
    try:
        return load_pyinfra_settings(host.data.dict())  # type: ignore[no-untyped-call]
    except SettingsError as error:
        raise InvalidSettings(host.name, error.problems) from None
