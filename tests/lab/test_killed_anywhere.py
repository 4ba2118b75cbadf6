"""A deploy that is killed in each of its tasks: nothing waits on the host, the next run ends well.

One kill a task; `tests/soak/test_killed_anywhere.py` has the whole matrix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from signal import SIGINT, SIGKILL, SIGTERM

import lab_host
import pytest
from deploys import pyinfra
from kill_matrix import JOBS, Kill, killed, left, reaches_the_end, waits_for_nobody
from lab_host import LabHost

pytestmark = pytest.mark.lab

APPLY = ("rocminfra", "apply", "-y", "-i", "inventory/lab.py")
# In the playbook's order: each run gets past the point at which the one before it was killed.
KILLS = (
    Kill("Prepare the scratch disk", SIGKILL, 0.3),
    Kill("Give users access to the GPU devices", SIGTERM),
    Kill("Configure Docker", SIGINT, 0.5, APPLY),
    Kill("Install Docker", SIGKILL, 2.0),
    Kill("Start Docker", SIGINT, 0.2),
    Kill("Start pulling", SIGKILL, 0.3),
    Kill("Copy model", SIGKILL),
    Kill("vllm.service", SIGKILL, 0.5),
    Kill("Wait until", SIGINT, 0.5),
)
BENCHMARK = Kill(
    *("Install GuideLLM", SIGKILL, 3.0),
    ("pyinfra", "-y", "inventory/lab.py", "tasks/benchmark.py", "--data", "bench.scenario=smoke"),
)
DEAD = "deb http://repo.invalid/rocm/apt/6.3 jammy main"
HOLD = (
    "import fcntl, sys, time; h = open(sys.argv[1], 'w'); fcntl.lockf(h, fcntl.LOCK_EX); "
    "time.sleep(float(sys.argv[2]))"
)


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    (made,) = lab_host.up(["killed"])
    try:
        # Not a day on which everything works.
        made.ok(f"echo '{DEAD}' > /etc/apt/sources.list.d/dead.list")
        yield made
    finally:
        lab_host.down(made.name)


def test_killed_once_in_every_task_it_ends_as_ever(host: LabHost) -> None:
    before = left(host)
    assert before.processes == []
    host.ok("setsid sleep 97 >/dev/null 2>&1 </dev/null &")
    assert [line.split()[-2:] for line in left(host).processes] == [["sleep", "97"]], "unseen"
    host.ok("pkill -f '^sleep 97$'")
    for kill in KILLS:
        if "Configure Docker" in kill.operation:
            lock = "/var/lib/apt/lists/lock"
            host.ok(f'setsid python3 -c "{HOLD}" {lock} 8 >/dev/null 2>&1 </dev/null &')
        code = killed(host, kill)
        # Plain pyinfra calls an interrupted run a success.
        assert code != 0 or (kill.number == SIGINT and kill.words != APPLY), kill.slug
        waits_for_nobody(host, before)
    reaches_the_end(host)
    # The benchmark's task, while pip writes; the unit goes on, and ends when it is told to.
    assert killed(host, BENCHMARK) == -SIGKILL
    found = waits_for_nobody(host, before)
    assert found.units <= {"rocminfra-guidellm.service"} < JOBS
    host.ok("systemctl stop rocminfra-guidellm.service || true")
    assert left(host).units == before.units


REGISTRY = """
rm -f /etc/apt/sources.list.d/dead.list
apt-get update -qq && apt-get install -y -qq docker-registry >/dev/null 2>&1
sed -i '/^auth:/,/^[a-z]/{/^auth:/d;/^  /d}' /etc/docker/registry/config.yml
systemctl restart docker-registry && sleep 1
cd /tmp && head -c 60000000 /dev/urandom > blob && tar -c blob | docker import - NAME
docker push -q NAME && docker rmi NAME && rm blob
"""


def test_an_image_comes_from_a_registry_that_says_how_large_it_is(host: LabHost) -> None:
    """Debian's own registry; the pull goes on in its unit when the run has ended."""
    name = "127.0.0.1:5000/acme/vllm:v1"
    host.ok(REGISTRY.replace("NAME", name))
    data = [f"engine.image={name}", "engine.image_source=registry", "engine.image_archive=null"]
    words = [word for item in data for word in ("--data", item)]
    run = pyinfra((host,), "-y", "tasks/image.py", *words)
    assert run.code == 0, run.err
    is_over = "! systemctl is-active --quiet rocminfra-image"
    host.ok(f"for i in $(seq 100); do {is_over} && exit; sleep 0.2; done; exit 1")
    host.ok(f"docker image inspect {name}")
    status = json.loads(host.ok("cat /run/rocminfra/rocminfra-image.status"))
    assert 60_000_000 < status["total"] < 60_200_000
    assert status["done"] == status["total"]
    host.ok(f"docker rmi {name}")
    # Nobody wants it any more once the engine's own image is there again.
    assert pyinfra((host,), "-y", "deploy.py").code == 0
