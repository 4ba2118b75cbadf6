"""A model of the hub, against a hub inside the droplet that asks for a token."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab_host
import pytest
from lab_host import LabHost

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
TOKEN = "hf_onlyForThisTest"
PORT = 9000
SNAPSHOT = "/mnt/models/huggingface/hub/models--toy--model/snapshots/" + "1" * 40


@pytest.fixture(scope="module")
def hub() -> Iterator[LabHost]:
    """A droplet with a hub in it that serves the toy model."""
    (host,) = lab_host.up(["hub"])
    try:
        stub = (Path(__file__).parent / "hub_stub.py").read_text()
        host.ok(f"cat > /root/hub_stub.py <<'EOF'\n{stub}\nEOF")
        host.ok("mkdir -p /root/model /mnt/models && mkfs.xfs -q /dev/vdc")
        host.ok("mount /dev/vdc /mnt/models")
        for name in ("config.json", "tokenizer_config.json"):
            text = (Path(host.droplet.model) / name).read_text()
            host.ok(f"cat > /root/model/{name} <<'EOF'\n{text}\nEOF")
        # Its token is in no file and no argument, so that finding it anywhere later means a leak.
        host.ok(
            f"setsid sh -c 'exec python3 /root/hub_stub.py /root/model {PORT}' "
            f"<<< {TOKEN} > /dev/null 2>&1 &"
        )
        yield host
    finally:
        lab_host.down(host.name)


def fetch(
    host: LabHost, token: str, monkeypatch: pytest.MonkeyPatch, repository: str = "toy/model"
) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("HF_TOKEN", token)
    command = [sys.executable, "-m", "pyinfra", "-y", "-vv", "inventory/lab.py"]
    command += ["tasks/huggingface.py", "--limit", host.name]
    command += ["--data", f"model.source={repository}"]
    command += ["--data", f"huggingface.endpoint=http://127.0.0.1:{PORT}"]
    return subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300
    )


def test_it_is_fetched_whole_and_once(hub: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch(hub, TOKEN, monkeypatch)
    assert first.returncode == 0, first.stderr
    original = hub.ok("cd /root/model && sha256sum config.json tokenizer_config.json")
    assert hub.ok(f"cd {SNAPSHOT} && sha256sum config.json tokenizer_config.json") == original
    second = fetch(hub, TOKEN, monkeypatch)
    assert "No changes" in second.stderr
    assert "Success" not in second.stderr.split("Results:")[0]


def test_the_token_is_nowhere_afterwards(hub: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.ok("rm -rf /mnt/models/.rocminfra-hub")
    run = fetch(hub, TOKEN, monkeypatch)
    assert run.returncode == 0, run.stderr
    assert TOKEN not in run.stdout + run.stderr
    places = "/etc /var /tmp /root /home /mnt/models /opt/rocminfra /run"
    assert hub.ssh(f"grep -rlsaF {TOKEN} {places}").stdout == ""
    assert hub.ssh(f"journalctl --no-pager | grep -F {TOKEN}").stdout == ""


def test_a_wrong_token_says_so_and_leaves_nothing_that_looks_complete(
    hub: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fetch(hub, "hf_wrong", monkeypatch, "toy/gated")
    assert run.returncode == 1
    assert "Access denied" in run.stderr
    assert "hf_wrong" not in run.stderr
    assert "gated" not in hub.ok("ls /mnt/models/.rocminfra-hub || true")
