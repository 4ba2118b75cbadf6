"""The Docker that is on a host, with flags and configuration file, in one look."""

from __future__ import annotations

import json

from pyinfra.api import StringCommand

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call
from rocminfra.planning.docker.observation import Daemon, DockerSeen


class DockerConfiguration(HostFact[DockerSeen]):
    """Everything that a decision about Docker's configuration needs."""

    @staticmethod
    def default() -> DockerSeen:
        return DockerSeen()

    def command(self, data_root: str) -> StringCommand:
        looks = call("docker_look", "look", data_root), "&&", call("docker_daemons")
        return StringCommand(*looks)

    def process(self, output: list[str]) -> DockerSeen:
        found = {key: value for line in output for key, value in json.loads(line).items()}
        unit = found["unit"]
        return DockerSeen(
            program=found["program"],
            is_podman=found["is_podman"],
            engine=found["engine"],
            load_state=unit.get("LoadState", "not-found"),
            active_state=unit.get("ActiveState", "inactive"),
            file_state=unit.get("UnitFileState", ""),
            command=found["command"],
            flags={key: tuple(values) for key, values in found["flags"].items()},
            file=found["file"],
            file_problem=found["file_problem"],
            real=found["real"],
            inodes=found["inodes"],
            context=found["context"],
            host=found["host"],
            has_client=found["has_client"],
            has_quota=found["has_quota"],
            missing=tuple(found["missing"]),
            rootless=tuple(found["rootless"]),
            left=tuple(found["left"]),
            containerd_io=found["containerd_io"],
            is_proven=found["is_proven"],
            daemons=tuple(
                Daemon(
                    pid=item["pid"],
                    user=item["user"],
                    unit=item["unit"],
                    is_units=item["is_units"],
                    hosts=tuple(item["hosts"]),
                    data_root=item["data_root"],
                )
                for item in found["daemons"]
            ),
            socket=found["socket"],
            is_taken=found["is_taken"],
        )
