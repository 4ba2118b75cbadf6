"""Practice droplets on this machine: whatever is up.

    rocminfra lab up
    pyinfra -y inventory/lab.py deploy.py

ROCMINFRA_LAB_USER=ops logs in as a user with sudo instead of root.
"""

from rocminfra.failure import FailedError
from rocminfra.inventory.errors import UnusableInventory
from rocminfra.inventory.sources import completed, through_connector
from rocminfra.lab.hosts import hosts as _hosts

try:
    hosts = through_connector(completed(_hosts(), __file__))
except FailedError as error:
    raise UnusableInventory(error.failure) from None
