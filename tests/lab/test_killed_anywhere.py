"""A deploy that is killed in each of its tasks: nothing waits on the host, the next run ends well.

One kill a task; `tests/soak/test_killed_anywhere.py` has the whole matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from signal import SIGINT, SIGKILL, SIGTERM

import lab_host
import pytest
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
