"""`droplet run`: the command's own exit code, its environment, its time, and always the end."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from droplet_cloud import TOKEN, Fault
from droplet_world import HOST_KEY, World

from rocminfra.droplets import children
from rocminfra.droplets.arrival import Arrived
from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.ledger import BY_PERSON
from rocminfra.droplets.run import Job, Outcome, create_for_person, run
from rocminfra.failure import ExitCode, FailedError

ENVIRON = {"PATH": os.environ["PATH"], "ROCMINFRA_DROPLET_TOKEN": TOKEN, "OTHER": "kept"}


def do(made: World, code: str, **job: object) -> Outcome:
    with Interrupts(made.said.append) as interrupts:
        cloud = made.cloud(interrupts)
        words = (sys.executable, "-c", code)
        results = made.folder.path / "results"
        asked = Job(words, **{"results": results, **job})  # type: ignore[arg-type]
        return run(cloud, made.offer(cloud), asked, ENVIRON)


def test_the_exit_code_is_the_commands_own(made: World) -> None:
    outcome = do(made, "raise SystemExit(42)")
    assert outcome.code == 42
    assert outcome.failures == ()
    assert made.stub.alive == []


def test_a_command_sees_its_droplet_and_no_token(made: World, tmp_path: Path) -> None:
    told = tmp_path / "told"
    code = (
        "import os, shutil\n"
        f"shutil.copy(os.environ['ROCMINFRA_HOSTS_FILE'], {str(told)!r})\n"
        "assert 'stub-token' not in str(dict(os.environ)), 'the token'\n"
        "assert os.environ['OTHER'] == 'kept'\n"
    )
    own = {"storage": {"label": "mine"}}
    defaults = {"vllm": {"max_num_seqs": 8}}
    assert do(made, code, own=own, defaults=defaults).code == 0
    document = yaml.safe_load(told.read_text())
    assert document["defaults"] == defaults
    keys = document["hosts"]["mi300x-1"]
    assert keys["ssh_hostname"] == "203.0.113.10"
    assert keys["ssh_strict_host_key_checking"] == "yes"
    assert keys["storage"] == {"expected_size_gib": 5120.0, "label": "mine"}
    assert keys["cost"] == {"usd_per_hour": 1.99}


def test_apply_comes_first_and_its_failure_is_the_runs(made: World, tmp_path: Path) -> None:
    done = tmp_path / "done"
    apply = (sys.executable, "-c", "raise SystemExit(6)")
    outcome = do(made, f"open({str(done)!r}, 'w')", apply=apply)
    assert outcome.code == 6
    assert not done.exists()
    assert made.stub.alive == []
    # What there is to learn was brought back before.
    assert outcome.collected is not None
    assert (outcome.collected / "vllm.log").exists()


def test_a_command_that_outlives_the_droplets_time_is_ended(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "INTERRUPT_S", 0.2)
    monkeypatch.setattr(children, "TERMINATE_S", 0.2)
    # The rest of the time is real: a tenth of a second of it is left after the margin.
    with Interrupts(made.said.append) as interrupts:
        cloud = made.cloud(interrupts)
        made.stub.active_after_s = made.stub.address_after_s = 0.0
        made.reach.refused = made.reach.booting = made.reach.login_denied = 0
        wanted = made.offer(cloud, max_hours=180.3 / 3600)
        command = ("sh", "-c", "trap '' INT TERM; sleep 60")
        job = Job(command, results=made.folder.path / "results")
        outcome = run(cloud, wanted, job, ENVIRON)
    assert outcome.code == ExitCode.REFUSED
    assert "no longer" in outcome.failures[0].what
    assert made.stub.alive == []


def test_a_command_that_is_not_there(made: World) -> None:
    with Interrupts(made.said.append) as interrupts:
        cloud = made.cloud(interrupts)
        outcome = run(cloud, made.offer(cloud), Job(("no-such-command",)), ENVIRON)
    assert outcome.code == ExitCode.SETTINGS
    assert "no-such-command" in outcome.failures[0].what
    assert made.stub.alive == []


def test_keep_on_failure_says_what_it_costs_by_the_hour(made: World) -> None:
    outcome = do(made, "raise SystemExit(1)", keep_on_failure=True)
    assert outcome.code == 1
    assert "stays, at $1.99 an hour" in outcome.failures[-1].what
    assert "rocminfra droplet destroy mi300x-1" in str(outcome.failures[-1].next)
    assert [item.owner for item in made.cloud().ledger.read().open] == [BY_PERSON]
    assert len(made.stub.alive) == 1


def test_keep_on_failure_keeps_nothing_after_success(made: World) -> None:
    assert do(made, "pass", keep_on_failure=True).code == 0
    assert made.stub.alive == []


def test_a_droplet_that_stays_although_the_command_went_well_is_a_failure(made: World) -> None:
    made.stub.faults.append(Fault("forbidden", "DELETE", "."))
    outcome = do(made, "pass")
    assert outcome.code == ExitCode.UNREACHABLE
    assert "may still run at $1.99 an hour" in outcome.failures[-1].what


def test_what_it_cost(made: World) -> None:
    outcome = do(made, "pass")
    assert 30 < outcome.seconds < 120
    assert outcome.usd == pytest.approx(outcome.seconds / 3600 * 1.99)


def person(made: World) -> Arrived:
    with Interrupts(made.said.append) as interrupts:
        cloud = made.cloud(interrupts)
        return create_for_person(cloud, made.offer(cloud), None, keep_on_failure=False)


def test_create_pins_the_host_key(made: World) -> None:
    arrived = person(made)
    assert arrived.login.known_hosts.read_text() == f"203.0.113.10 {HOST_KEY}\n"
    assert made.cloud().ledger.read().open[0].host_key == HOST_KEY


def test_an_address_that_changes_is_followed(made: World) -> None:
    made.stub.moves_after_s = 34.0
    arrived = person(made)
    assert made.reach.addresses[0] == "203.0.113.10"
    assert arrived.login.address == "203.0.113.250"


def test_create_destroys_what_did_not_become_usable(made: World) -> None:
    made.reach.refused = 1_000_000
    with pytest.raises(FailedError) as caught:
        person(made)
    failure = caught.value.failure
    assert failure.kind is ExitCode.NOT_READY
    assert "does not answer SSH within 10 min" in failure.what
    assert failure.why == ("last seen: 203.0.113.10: Connection refused",)
    assert made.stub.alive == []


def test_create_that_cannot_destroy_names_both_faults(made: World) -> None:
    made.reach.refused = 1_000_000
    made.stub.faults.append(Fault("sick", "DELETE", "."))
    with pytest.raises(FailedError) as caught:
        person(made)
    failure = caught.value.failure
    assert "may still run at $1.99 an hour" in failure.what
    assert "does not answer SSH" in failure.why[0]


def test_a_wait_is_never_silent_for_ten_seconds(made: World) -> None:
    told: list[float] = []

    class Listening(list[str]):
        def append(self, line: str) -> None:
            told.append(made.time.now)
            super().append(line)

    made.said = Listening()
    made.stub.active_after_s, made.stub.address_after_s = 200.0, 300.0
    made.reach.refused, made.reach.booting = 40, 40
    made.stub.faults.append(Fault("limit", "GET", r"/v2/droplets/\d", times=5, after=9))
    begin = made.time.now
    person(made)
    times = [begin, *told, made.time.now]
    assert max(b - a for a, b in pairwise(times)) <= 10.0
