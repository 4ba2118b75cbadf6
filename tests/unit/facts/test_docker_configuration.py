"""The Docker that is on a host; the program is run on this machine."""

from __future__ import annotations

import subprocess

from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.planning.docker.observation import DockerSeen


def test_it_reads_what_its_program_prints() -> None:
    fact = DockerConfiguration()
    command = fact.command("/srv/docker data").get_raw_value()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    seen = fact.process(done.stdout.splitlines())
    assert isinstance(seen, DockerSeen)
    assert seen.real["/srv/docker data"] == "/srv/docker data"


def test_without_an_answer_no_docker_was_seen() -> None:
    assert DockerConfiguration.default() == DockerSeen()
