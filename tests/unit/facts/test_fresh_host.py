"""What a machine is busy with after its first boot; its program has tests of its own."""

from __future__ import annotations

import json

from rocminfra.facts.fresh_host import FreshHost, parse

SEEN = {
    "cloud_init": {"status": "running", "errors": ["a"]},
    "apt": [{"pid": 7, "command": "apt-get update", "lock": "/var/lib/apt/lists/lock"}],
    "reboot": ["linux-image"],
    "containers": [],
    "listening": [22, 8000],
    "read_only": ["/etc"],
}


def test_the_document_becomes_a_record() -> None:
    seen = FreshHost().process([json.dumps(SEEN)])
    assert seen == parse(SEEN)
    assert (seen.cloud_init, seen.apt[0].pid, seen.reboot) == ("running", 7, ("linux-image",))
    assert seen.listening == (22, 8000)
    assert seen.read_only == ("/etc",)


def test_what_is_no_document_is_a_problem_and_not_a_quiet_host() -> None:
    seen = FreshHost().process(["sh: python3: not found", "exit code 127"])
    assert seen.cloud_init == "unknown"
    assert seen.problem == "sh: python3: not found; exit code 127"


def test_a_later_look_is_a_command_of_its_own() -> None:
    assert FreshHost().command(1.0) != FreshHost().command(2.0)
