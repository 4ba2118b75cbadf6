"""Where each setting of a host comes from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import schema_check

HOSTS = """\
defaults:
  vllm: {max_num_seqs: 64}
hosts:
  one:
    ssh_hostname: 203.0.113.10
    ssh_user: ops
    vllm:
      max_model_len: 8192
    engine:
      environment: {MY_CREDENTIAL: abcdefghijkl, OTHER: kept}
  two: {ssh_hostname: 203.0.113.11}
"""


def config(
    folder: Path, *words: str, code: int = 0, **environ: str
) -> dict[str, dict[str, tuple[Any, str]]]:
    """Settings of each host by key: value and origin."""
    (folder / "inventory").mkdir(exist_ok=True)
    (folder / "inventory/amd_cloud.py").write_text(
        "from rocminfra.inventory.sources import from_hosts_file, pyinfra_hosts\n"
        "hosts = pyinfra_hosts((from_hosts_file,), __file__)\n"
    )
    (folder / "inventory/hosts.yaml").write_text(HOSTS)
    clean = {name: value for name, value in os.environ.items() if "ROCMINFRA" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "rocminfra", "config", "--json", *words],
        cwd=folder,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "abcdefghijkl" not in done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert schema_check.violations(document, "config") == []
    return {
        host["name"]: {one["key"]: (one["value"], one["origin"]) for one in host["settings"]}
        for host in document["hosts"]
    }


def test_every_source_is_named_with_the_one_that_wins(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        *("--data", "bench.scenario=smoke", "--data", "vllm.dtype=auto"),
        ROCMINFRA_VLLM__DTYPE="bfloat16",
        ROCMINFRA_STORAGE__OWNER="ops",
    )
    one, two = found["one"], found["two"]
    assert one["vllm.port"] == (8000, "default")
    assert one["vllm.max_num_seqs"] == (64, "inventory/hosts.yaml:2")
    assert one["vllm.max_model_len"] == (8192, "inventory/hosts.yaml:8")
    assert two["vllm.max_model_len"][1] == "default"
    assert one["storage.owner"] == ("ops", "ROCMINFRA_STORAGE__OWNER")
    assert one["vllm.dtype"] == ("auto", "--data")
    assert one["bench.scenario"] == ("smoke", "--data")
    assert one["ssh_user"] == ("ops", "inventory/hosts.yaml:6")
    assert one["_sudo"] == (True, "inventory inventory/amd_cloud.py"), "the inventory decides that"


def test_what_may_be_a_secret_is_masked(tmp_path: Path) -> None:
    found = config(tmp_path, "one", "--key", "engine.env*")["one"]
    assert found == {
        "engine.environment": (
            {"MY_CREDENTIAL": "…", "OTHER": "kept"},
            "inventory/hosts.yaml:10",
        )
    }


def test_only_what_is_no_default(tmp_path: Path) -> None:
    assert list(config(tmp_path, "two", "--changed")["two"]) == [
        "ssh_hostname",
        "ssh_user",
        "vllm.max_num_seqs",
    ]


@pytest.mark.parametrize("words", [("--data", "vllm.max_num_seq=1"), ("--limit", "three")])
def test_what_is_wrong_is_a_document_as_well(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert config(tmp_path, *words, code=3) == {}


def test_the_environment_counts_for_hosts_that_are_only_named(tmp_path: Path) -> None:
    named = ("-i", "203.0.113.9")
    found = config(tmp_path, *named, ROCMINFRA_VLLM__PORT="08005")["203.0.113.9"]
    assert found["vllm.port"] == (8005, "ROCMINFRA_VLLM__PORT")
    data = ("--data", "vllm.port=8006")
    found = config(tmp_path, *named, *data, ROCMINFRA_VLLM__PORT="8005")["203.0.113.9"]
    assert found["vllm.port"] == (8006, "--data")
