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


def command_of(
    host: LabHost, token: str, monkeypatch: pytest.MonkeyPatch, repository: str
) -> list[str]:
    monkeypatch.setenv("HF_TOKEN", token)
    command = [sys.executable, "-m", "pyinfra", "-y", "-vv", "inventory/lab.py"]
    command += ["tasks/huggingface.py", "--limit", host.name]
    command += ["--data", f"model.source={repository}"]
    command += ["--data", f"huggingface.endpoint=http://127.0.0.1:{PORT}"]
    return command


def fetch(
    host: LabHost, token: str, monkeypatch: pytest.MonkeyPatch, repository: str = "toy/model"
) -> subprocess.CompletedProcess[str]:
    command = command_of(host, token, monkeypatch, repository)
    return subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300
    )


def begin(
    host: LabHost, token: str, monkeypatch: pytest.MonkeyPatch, repository: str
) -> subprocess.Popen[str]:
    command = command_of(host, token, monkeypatch, repository)
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def heard(run: subprocess.Popen[str], words: str) -> str:
    """What a run says until the words are among it."""
    said = ""
    assert run.stderr is not None
    for line in run.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


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
    assert "toy/gated: http://127.0.0.1:9000 denies it (401 " in run.stderr
    assert "the token may not read it" in run.stderr
    assert "hf_wrong" not in run.stderr
    assert "gated" not in hub.ok("ls /mnt/models/.rocminfra-hub || true")


def test_a_cache_that_was_emptied_by_hand_is_fetched_again(
    hub: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.ok("rm -rf /mnt/models/huggingface/hub")
    run = fetch(hub, TOKEN, monkeypatch)
    assert run.returncode == 0, run.stderr
    assert "toy/model is fetched again: " in run.stderr
    hub.ok(f"test -s {SNAPSHOT}/config.json")


def test_what_no_disk_holds_is_refused_before_its_first_byte(
    hub: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fetch(hub, TOKEN, monkeypatch, "toy/huge")
    assert run.returncode == 1
    assert "toy/huge needs 10000.0 TB more" in run.stderr
    assert "nothing was downloaded" in run.stderr
    assert "next: make room on the host" in run.stderr
    hub.ok("test ! -e /mnt/models/huggingface/hub/models--toy--huge")


def test_a_line_that_is_cut_is_resumed_where_it_was(
    hub: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fetch(hub, TOKEN, monkeypatch, "toy/cut")
    assert run.returncode == 0, run.stderr
    begins = [line.split()[1] for line in hub.ok("grep /cut /root/asked").splitlines()]
    assert begins[0] == "0"
    assert any(int(begin) > 1_000_000 for begin in begins[1:]), begins


def test_a_lost_connection_leaves_the_unit_alone_and_it_ends_when_another_is_wanted(
    hub: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "models--|host.fetch|hub-2|tail|sleep|systemd-run"
    # The stand-in GPU's own service sleeps as well.
    ours = f"ps -eo unit:30,args | grep -E '{words}' | grep -vE 'grep|rocminfra-lab-' || true"
    before = hub.ok(ours).splitlines()
    assert before == []
    begun = begin(hub, TOKEN, monkeypatch, "toy/slow")
    unit = "systemctl is-active --quiet rocminfra-prefetch"
    hub.ok(f"for i in $(seq 300); do {unit} && grep -q slow /root/asked && exit; sleep 0.1; done")
    begun.kill()
    begun.wait()
    hub.ok(f"sleep 2; {unit}")
    left = hub.ok(ours).splitlines()
    assert left
    assert [line for line in left if not line.startswith("rocminfra-prefetch.service ")] == []
    # The same again waits for it, and says so and how far it is.
    again = begin(hub, TOKEN, monkeypatch, "toy/slow")
    said = heard(again, "download of toy/slow: ")
    assert "under way since an earlier run: download of toy/slow" in said
    assert " of 80.0 MB, " in said
    again.kill()
    again.wait()
    other = fetch(hub, TOKEN, monkeypatch)
    assert other.returncode == 0, other.stderr
    assert hub.ssh(unit).returncode != 0, "a download that nobody wants any more goes on"
    assert hub.ssh("pgrep -f models--toy--slow").returncode != 0
