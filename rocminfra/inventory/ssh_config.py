"""What the operator's own ssh configuration says of a host."""

from __future__ import annotations

from pathlib import Path

DEFAULT_FILE = "~/.ssh/config"


def configured_user(host: str, config_file: str | None = None) -> str | None:
    """The ``User`` that ssh would log in as on ``host``, or None when nothing is said.

    + host: as it is named in the configuration
    + config_file: instead of ``~/.ssh/config``

    A file that cannot be read or understood says nothing here; connecting will say more.
    """
    path = Path(config_file or DEFAULT_FILE).expanduser()
    if not path.is_file():
        return None
    # Imported late: most hosts files are read where there is no such file.
    from pyinfra.connectors.sshuserclient.config import SSHConfig

    config = SSHConfig()
    try:
        with path.open(encoding="utf-8") as file:
            config.parse(file)  # type: ignore[no-untyped-call]
        user = config.lookup(host).get("user")
    except Exception:  # paramiko's own errors, and a bare one for files that include each other
        return None
    return str(user) if user else None
