"""Nothing outlives its time or its run, and nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from droplet_cloud import Fault
from droplet_world import World, entry

from rocminfra.droplets import creation, tags
from rocminfra.droplets.ledger import BY_PERSON, BY_RUN, NEVER_APPEARED, NOT_OURS
from rocminfra.droplets.reaping import close_what_is_gone, doomed, foreign_failure, reap
from rocminfra.failure import ExitCode


def create(made: World, owner: str = BY_PERSON, **wanted: object) -> str:
    tag = tags.new_unique()
    cloud = made.cloud()
    creation.create(cloud, made.offer(cloud, **wanted), owner, tag)
    return tag


def test_an_expired_droplet_is_destroyed_and_a_young_one_stays(made: World) -> None:
    create(made, max_hours=1.0)
    cloud = made.cloud()
    assert doomed(cloud) == ()
    made.time.sleep(3601)
    found = doomed(cloud)
    assert [item.reason.split(" at ")[0] for item in found] == ["its time was over"]
    assert reap(cloud, found).gone == ("mi300x-1 (id 500000001)",)
    assert made.stub.alive == []
    assert cloud.ledger.read().open == ()


def test_a_reaper_without_our_ledger_goes_by_tags(made: World) -> None:
    create(made, max_hours=1.0)
    made.folder.ledger.unlink()
    body = {"size": "s-1vcpu-1gb", "region": "atl1"}
    made.stub.create({**body, "name": "theirs", "tags": ["production"]})
    made.stub.create({**body, "name": "old", "tags": [tags.expires(0.0)]})  # not with our tags
    made.stub.create({**body, "name": "odd", "tags": ["rocminfra", "rocminfra-expires:soon"]})
    made.time.sleep(3601)
    cloud = made.cloud()
    reap(cloud, doomed(cloud))
    assert sorted(item.name for item in made.stub.alive) == ["odd", "old", "theirs"]


def test_what_a_killed_run_left_is_found_by_the_ledger_before_its_time(made: World) -> None:
    create(made, BY_RUN)
    cloud = made.cloud()
    found = doomed(cloud, expired=False)
    assert [item.reason for item in found] == ["left by a run that was killed"]
    reap(cloud, found)
    assert made.stub.alive == []


def test_a_run_that_lives_is_left_alone(made: World) -> None:
    tag = create(made, BY_RUN)
    with made.folder.run_alive(tag):
        assert doomed(made.cloud()) == ()
    assert len(doomed(made.cloud())) == 1


def test_a_killed_process_holds_no_mark(made: World) -> None:
    made.folder.make()
    code = (
        "import sys, time; from pathlib import Path\n"
        "from rocminfra.droplets.state_folder import StateFolder\n"
        f"with StateFolder(Path({str(made.folder.path)!r})).run_alive('x'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert made.folder.is_run_alive("x")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not made.folder.is_run_alive("x")


def test_a_lost_answer_is_settled_later(made: World) -> None:
    """Killed between the request and its answer: an entry without an id, and a droplet."""
    create(made, BY_RUN)
    lines = made.ledger_text.splitlines(keepends=True)
    made.folder.ledger.write_text(lines[0])
    cloud = made.cloud()
    assert reap(cloud, doomed(cloud)).gone == ("mi300x-1 (rocminfra-id",) or not made.stub.alive
    assert made.stub.alive == []
    assert cloud.ledger.read().open == ()


def test_a_request_that_never_left_is_closed_when_it_is_old(made: World) -> None:
    cloud = made.cloud()
    cloud.ledger.intend(entry(tags.new_unique()))
    made.time.sleep(60)
    reap(cloud, doomed(cloud))
    assert len(cloud.ledger.read().open) == 1  # too young to be given up
    made.time.sleep(3600)
    reap(cloud, doomed(cloud))
    assert [item.closed for item in cloud.ledger.read().entries] == [NEVER_APPEARED]


def test_an_entry_is_not_given_up_because_the_cloud_could_not_be_asked(made: World) -> None:
    cloud = made.cloud()
    cloud.ledger.intend(entry(tags.new_unique()))
    made.time.sleep(3600)
    found = doomed(cloud)
    made.stub.faults.append(Fault("sick", "GET", "droplets"))
    assert [item.kind for item in reap(cloud, found).failures] == [ExitCode.UNREACHABLE]
    assert len(cloud.ledger.read().open) == 1


def test_one_that_cannot_be_destroyed_keeps_no_other_alive(made: World) -> None:
    create(made, max_hours=1.0)
    made.stub.create(
        {
            "name": "second",
            "size": "s-1vcpu-1gb",
            "region": "atl1",
            "tags": ["rocminfra", "rocminfra-id:2", tags.expires(made.time.now)],
        }
    )
    made.time.sleep(3601)
    made.stub.faults.append(Fault("forbidden", "DELETE", "500000001"))
    cloud = made.cloud()
    result = reap(cloud, doomed(cloud))
    assert result.gone == ("second (id 500000002)",)
    assert "mi300x-1 (id 500000001) may still run at $1.99 an hour" in result.failures[0].what
    assert len(cloud.ledger.read().open) == 1


def test_another_teams_droplets_are_named_and_never_closed(made: World) -> None:
    create(made)
    made.stub.team = "team-2"
    made.stub.droplets.clear()  # what the other team's token sees
    cloud = made.cloud()
    assert doomed(cloud) == ()
    close_what_is_gone(cloud, ())
    failure = foreign_failure(cloud)
    assert failure is not None
    assert failure.kind is ExitCode.UNREACHABLE
    assert "id 500000001" in failure.why[0]
    assert "Team team-1" in failure.why[0]
    assert len(cloud.ledger.read().open) == 1


def test_a_droplet_that_somebody_else_destroyed_is_closed(made: World) -> None:
    create(made)
    made.stub.destroy(500_000_001)
    made.time.sleep(60)
    cloud = made.cloud()
    close_what_is_gone(cloud, cloud.client.droplets())
    assert [item.closed for item in cloud.ledger.read().entries] == [NOT_OURS]


def test_a_list_that_forgets_closes_nothing(made: World) -> None:
    create(made)
    cloud = made.cloud()
    made.stub.faults.append(Fault("forgets", "GET", r"\?"))
    close_what_is_gone(cloud, cloud.client.droplets())
    assert len(cloud.ledger.read().open) == 1


@pytest.mark.parametrize("seconds", [0.0, 1_790_000_000.0])
def test_a_time_to_live_survives_its_tag(seconds: float) -> None:
    assert tags.expiry(["a", tags.expires(seconds)]) == seconds
    assert tags.is_tag(tags.expires(seconds))
    assert tags.expiry(["rocminfra-expires:soon"]) is None
    assert tags.expiry([tags.expires(1.0), tags.expires(2.0)]) == 2.0


def test_time_is_told_in_the_meantime(made: World, tmp_path: Path) -> None:
    del tmp_path
    started = time.monotonic()
    create(made, BY_RUN)
    cloud = made.cloud()
    reap(cloud, doomed(cloud))
    assert time.monotonic() - started < 5  # nothing really slept
