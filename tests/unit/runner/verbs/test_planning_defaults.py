"""What no option says comes from the user's hosts file, and an option wins over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rocminfra import reference_run
from rocminfra.failure import ExitCode, FailedError
from rocminfra.runner.cli import main
from rocminfra.runner.verbs.planning_defaults import host_settings, with_settings
from rocminfra.settings import Settings

HOSTS = """
defaults:
  vllm: {max_num_seqs: 32}
hosts:
  a: {}
  b:
    vllm: {gpu_memory_utilization: 0.8, max_num_seqs: 16}
"""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "inventory" / "hosts.yaml"
    file.parent.mkdir()
    file.write_text(HOSTS)
    monkeypatch.chdir(tmp_path)
    return file


def capacity(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit):
        main(["capacity", "--json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_without_a_hosts_file_it_is_the_reference_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert host_settings(None) == Settings()
    assert host_settings(None).vllm.max_num_seqs == reference_run.MAX_NUM_SEQS


def test_the_first_host_unless_one_is_named(hosts: Path) -> None:
    assert host_settings(None).vllm.max_num_seqs == 32
    assert host_settings("b").vllm.max_num_seqs == 16


def test_a_host_that_is_not_there_is_refused_with_those_that_are(hosts: Path) -> None:
    with pytest.raises(FailedError, match="no such host") as caught:
        host_settings("c")
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert caught.value.failure.why == ("hosts: a, b",)


def test_a_hosts_file_that_cannot_be_used_says_where(hosts: Path) -> None:
    hosts.write_text("hosts: {a: {vllm: {max_num_seq: 1}}}")
    with pytest.raises(FailedError) as caught:
        host_settings(None)
    assert "hosts.yaml:1" in caught.value.failure.what


def test_an_option_wins(hosts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert with_settings({"utilization": 0.5, "max_num_seqs": None}, host_settings("b")) == {
        "utilization": 0.5,
        "max_num_seqs": 16,
    }
    from_file = capacity(capsys, "--host", "b")
    by_option = capacity(capsys, "--host", "b", "--utilization", "0.92")
    assert from_file["kv_cache_tokens"] < by_option["kv_cache_tokens"]
