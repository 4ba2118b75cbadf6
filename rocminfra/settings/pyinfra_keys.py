"""The keys in a host's data that belong to pyinfra, not to rocminfra.

They are listed here instead of read from pyinfra: a misspelt one (``ssh_prot``) must be refused
like any other key, and settings must stay quick to import. A test compares the list with the
installed pyinfra.
"""

from __future__ import annotations

import re

# Data of the SSH connector (pyinfra.connectors.ssh.ConnectorData).
SSH_KEYS = frozenset(
    {
        "ssh_hostname",
        "ssh_port",
        "ssh_user",
        "ssh_password",
        "ssh_key",
        "ssh_key_password",
        "ssh_allow_agent",
        "ssh_look_for_keys",
        "ssh_forward_agent",
        "ssh_config_file",
        "ssh_known_hosts_file",
        "ssh_strict_host_key_checking",
        "ssh_paramiko_connect_kwargs",
        "ssh_connect_retries",
        "ssh_connect_retry_min_delay",
        "ssh_connect_retry_max_delay",
        "ssh_file_transfer_protocol",
    }
)

# pyinfra's global arguments that make sense for a whole host (pyinfra.api.arguments).
GLOBAL_ARGUMENT_KEYS = frozenset(
    {
        "_sudo",
        "_sudo_user",
        "_use_sudo_login",
        "_sudo_password",
        "_preserve_sudo_env",
        "_su_user",
        "_use_su_login",
        "_preserve_su_env",
        "_su_shell",
        "_doas",
        "_doas_user",
        "_dzdo",
        "_dzdo_user",
        "_shell_executable",
        "_temp_dir",
    }
)

# Data of pyinfra's other connectors, and the choice of rocminfra's connector.
_CONNECTOR_KEY = re.compile(
    r"^(docker_|dockerssh_|podman_|vagrant_|terraform_|chroot_|rocminfra_connector$)"
)


def is_pyinfra_key(key: str) -> bool:
    """Whether pyinfra or one of its connectors knows ``key``."""
    return key in SSH_KEYS or key in GLOBAL_ARGUMENT_KEYS or _CONNECTOR_KEY.match(key) is not None
