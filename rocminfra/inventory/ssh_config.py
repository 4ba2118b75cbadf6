"""The operator's ssh configuration for a host."""

from __future__ import annotations

from pathlib import Path

DEFAULT_FILE = "~/.ssh/config"


def configured_user(host: str, config_file: str | None = None) -> str | None:
    """The ``User`` configured for ``host``, or None.

    + host: name in the configuration
    + config_file: used instead of ``~/.ssh/config``

    An unreadable or invalid file is ignored here; the error shows up when connecting.
    """
    path = Path(config_file or DEFAULT_FILE).expanduser()
    if not path.is_file():
        return None
    # Imported late: there is often no such file.
    from pyinfra.connectors.sshuserclient.config import SSHConfig

    config = SSHConfig()
    try:
        with path.open(encoding="utf-8") as file:
            config.parse(file)  # type: ignore[no-untyped-call]
        user = config.lookup(host).get("user")
    except (
        Exception
    ):  # paramiko's own errors, and a bare Exception for files that include each other
        return None
    return str(user) if user else None
