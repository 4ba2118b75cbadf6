"""Hosts on the AMD Developer Cloud, or any other machines that you can reach over SSH.

    pyinfra inventory/amd_cloud.py deploy.py -y
    rocminfra apply

They come from hosts.yaml beside this file (hosts.example.yaml explains every key), from the file
that ROCMINFRA_HOSTS_FILE names, or from ROCMINFRA_HOSTS=203.0.113.10,ubuntu@203.0.113.11.

With ROCMINFRA_DROPLET_TOKEN_FILE (or ROCMINFRA_DROPLET_TOKEN) the cloud is asked as well: droplets
with the tag `rocminfra`, or ROCMINFRA_DROPLET_TAG, join the file's hosts.

ROCMINFRA_CONNECTOR=ssh takes pyinfra's own SSH connector instead of the one that fetches all facts
at once.
"""

from rocminfra.droplets.source import from_cloud_and_file
from rocminfra.inventory.sources import from_environment, pyinfra_hosts, through_connector

# Asked in this order; the first that answers counts. The underscore keeps pyinfra from taking
# the list for a group of hosts.
_sources = (from_environment, from_cloud_and_file)

hosts = through_connector(pyinfra_hosts(_sources, __file__))
