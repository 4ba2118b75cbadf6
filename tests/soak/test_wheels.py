"""GuideLLM from a folder of wheels, on a droplet that reaches no package index.

About two minutes, of which collecting the wheels takes one; ``tests/lab/test_bench_on_droplets.py``
has the folders that are refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import lab_host
import pytest
from deploys import pyinfra
from lab_host import LabHost

from rocminfra.settings.schema import Bench

pytestmark = [pytest.mark.soak, pytest.mark.lab]

WHEELS = "/srv/wheels of mine"
PLACE = "/opt/rocminfra/guidellm-0.8.1"
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def cut_off() -> Iterator[LabHost]:
    """A droplet with a folder of wheels, whose pip reaches no index any more."""
    (host,) = lab_host.up(["wheels"])
    try:
        # The droplet's own pip, so that the wheels fit its Python.
        host.ok("apt-get install -y python3-venv >/dev/null && python3 -m venv /tmp/pip")
        packages = f"'guidellm[vision]==0.8.1' torch=={Bench().torch_version} uv"
        host.ok(f"/tmp/pip/bin/pip download --quiet --dest '{WHEELS}' {packages}", timeout_s=600)
        # What it was configured for may be on this machine's disk.
        host.ok("printf '[global]\nindex-url = http://127.0.0.1:9/simple\n' >/etc/pip.conf")
        host.ok("ip route del default || true")
        refused = host.ssh("/tmp/pip/bin/pip download --retries 0 --no-deps --dest /tmp/x uv")
        assert refused.returncode != 0, "the droplet still reaches an index"
        yield host
    finally:
        lab_host.down(host.name)


def install(host: LabHost) -> float:
    """Have it installed in the background, as `apply --bench` does; the seconds that took."""
    began = time.monotonic()
    data = ("--data", "bench.prepare=true", "--data", f"bench.wheels={WHEELS}")
    run = pyinfra((host,), "-y", "tasks/guidellm.py", *data)
    assert run.code == 0, run.err
    while host.ssh(f"test -e {PLACE}/.complete").returncode != 0:
        ended = f"systemctl is-active --quiet rocminfra-guidellm || test -e {PLACE}/.complete"
        assert host.ssh(ended).returncode == 0, host.ok("cat /run/rocminfra/rocminfra-guidellm.log")
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.5)
    return time.monotonic() - began


@pytest.mark.parametrize("by", ["uv", "pip"])
def test_it_is_installed_from_the_folder_alone(cut_off: LabHost, by: str) -> None:
    cut_off.ok(f"rm -rf {PLACE}")
    if by == "pip":
        cut_off.ok(f"rm '{WHEELS}'/uv-*")
    seconds = install(cut_off)
    print(f"{by}: {seconds:.0f} s")
    assert (cut_off.ssh(f"test -e {PLACE}/bin/uv").returncode == 0) == (by == "uv")
    assert "0.8.1" in cut_off.ok(f"{PLACE}/bin/guidellm --version")
    code = "import torch, PIL; print(torch.__version__)"
    assert Bench().torch_version in cut_off.ok(f"{PLACE}/bin/python -c '{code}'")
    assert cut_off.ssh(f"ls -d {PLACE}/.uv").returncode != 0, "uv's cache is gone"
    again = pyinfra((cut_off,), "-y", "tasks/guidellm.py", "--json", "--data", "bench.prepare=true")
    assert again.changed == []
