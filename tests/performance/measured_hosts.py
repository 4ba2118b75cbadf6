"""Inventory of the measurements: one practice droplet, under one name or many.

MEASURE_DROPLET is the droplet, MEASURE_CONNECTOR `ssh` or `rocminfra`, MEASURE_HOSTS how many
hosts it stands for, MEASURE_PORT the local port of a proxy in front of it.
"""

import os

from rocminfra.lab.hosts import hosts as _droplets

_data = dict(_droplets())[os.environ["MEASURE_DROPLET"]]
_prefix = "@rocminfra/" if os.environ["MEASURE_CONNECTOR"] == "rocminfra" else ""
_port = os.environ.get("MEASURE_PORT")
if _port:
    # The proxy has no name in the droplet's known_hosts; it leads to that droplet only.
    _data.update(ssh_hostname="127.0.0.1", ssh_port=int(_port), ssh_strict_host_key_checking="off")

# A name makes a file system's UUID, of which a kernel mounts each only once: no name of the lab's
# other droplets, and of other runs of this.
_names = [f"{os.environ['MEASURE_DROPLET']}-{n}" for n in range(int(os.environ["MEASURE_HOSTS"]))]

hosts = [(f"{_prefix}{name}", _data) for name in _names]
