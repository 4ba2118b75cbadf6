"""Hosts on the AMD Developer Cloud, or any other machines that you can reach over SSH.

    pyinfra inventory/amd_cloud.py deploy.py -y
    rocminfra apply

They come from hosts.yaml beside this file (hosts.example.yaml explains every key), from the file
that ROCMINFRA_HOSTS_FILE names, or from ROCMINFRA_HOSTS=203.0.113.10,ubuntu@203.0.113.11.

ROCMINFRA_CONNECTOR=ssh takes pyinfra's own SSH connector instead of the one that fetches all facts
at once.
"""

from rocminfra.inventory.sources import (
    from_environment,
    from_hosts_file,
    pyinfra_hosts,
    through_connector,
)

# Asked in this order; the first that answers counts. The underscore keeps pyinfra from taking
# the list for a group of hosts.
_sources = (from_environment, from_hosts_file)

hosts = through_connector(pyinfra_hosts(_sources, __file__))
