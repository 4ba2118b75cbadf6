"""The status of hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocminfra.failure import ExitCode


def ask(worker: Any, folder: Path, hosts: dict[str, Any], **parts: str) -> Any:
    return worker("read_status", str(folder), {}, hosts, parts)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"a": "good", "b": "good"}, ExitCode.DONE),
        ({"a": "good", "b": "bad"}, ExitCode.NOT_READY),
        ({}, ExitCode.NOT_READY),
    ],
)
def test_a_host_is_ready_when_every_part_is(
    parts: dict[str, str], code: ExitCode, worker: Any, tmp_path: Path
) -> None:
    (host,) = ask(worker, tmp_path, {"h": {}}, **parts)
    assert host.code is code
    assert {name: part.words for name, part in host.parts.items()} == parts


def test_a_host_that_breaks_keeps_what_it_said_before(worker: Any, tmp_path: Path) -> None:
    (host,) = ask(worker, tmp_path, {"h": {}}, a="good", b="broken", c="good")
    assert list(host.parts) == ["a"]
    assert host.code is ExitCode.UNREACHABLE
    assert "gone" in host.failures[0].what


def test_a_host_out_of_reach_does_not_hide_the_others(worker: Any, tmp_path: Path) -> None:
    hosts = {"here": {}, "away": {"ssh_hostname": "127.0.0.1", "ssh_port": 1}}
    here, away = ask(worker, tmp_path, hosts, a="good")
    assert here.code is ExitCode.DONE
    assert (away.code, dict(away.parts)) == (ExitCode.UNREACHABLE, {})
