"""Ways in which somebody else has a Docker with its data on the scratch disk, and a look at one."""

from __future__ import annotations

import json

from lab_host import LabHost

from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.planning.docker.observation import DockerSeen

USUAL, THERE = "/var/lib/docker", "/mnt/models/docker"
OWN = json.dumps({"data-root": f"{THERE}/"})
# How somebody has Docker's data there: what is done, and how that is undone.
WAYS = {
    "bind mount": (f"mkdir {THERE}; mount --bind {THERE} {USUAL}", f"umount {USUAL}"),
    "file elsewhere": (
        f"echo '{OWN}' >/srv/d.json; cp -p /etc/default/docker /root/; "
        "echo DOCKER_OPTS=--config-file=/srv/d.json >>/etc/default/docker",
        f"mv /root/docker /etc/default/docker; grep -Fx '{OWN}' /srv/d.json",
    ),
}


def looked(host: LabHost) -> DockerSeen:
    fact = DockerConfiguration()
    command = fact.command("/mnt/models/docker").get_raw_value()
    return fact.process(host.ok(command).splitlines())
