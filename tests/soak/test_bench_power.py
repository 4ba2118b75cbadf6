"""The real GuideLLM and the engine's simulator on a droplet that loses its power.

`test_bench_faults.py` does it with stand-ins, and with a disk that loses what was not synced. A
practice droplet has no udev, and so no link for the UUID in its fstab: the scratch disk is not
mounted at boot, Docker and the engine do not start without it, and `apply` brings them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lab_host
import pytest
from deploys import pyinfra, rocminfra
from lab_host import LabHost
from warm_benchmark import WarmBenchmark

from rocminfra.bench.results import verify

pytestmark = [pytest.mark.soak, pytest.mark.lab]

SCENARIO = """\
description: two points, and the power fails in the second
data: {kind: synthetic_text, prompt_tokens: 128, output_tokens: 32}
stages: [{profile: concurrent, streams: [1, 2]}]
max_seconds: 8
"""


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    (droplet,) = lab_host.up(["power"])
    try:
        for words in (("deploy.py",), ("tasks/guidellm.py",)):
            done = pyinfra((droplet,), "-y", *words)
            assert done.code == 0, done.err
        yield droplet
    finally:
        lab_host.down(droplet.name)


def test_a_run_whose_host_lost_its_power_goes_on_where_it_was(
    host: LabHost, tmp_path: Path
) -> None:
    with WarmBenchmark(host, SCENARIO, tmp_path) as run:
        run.wait_for_load(2)
        place = f"/var/lib/rocminfra/runs/{run.run}"
        look = f"cd {place} && find 01-concurrent-1 -type f -exec sha256sum {{}} + | sort"
        finished = host.ok(look)
        uuid = "blkid -p -s UUID -o value /dev/vdc"
        scratch = host.ok(uuid)
        lab_host.hard_reset(host)
        said = run.said()
        assert run.code == 1, said
        assert "the connection was lost" in said
        assert f"bench.run={run.run}" in said.strip().splitlines()[-1]
        assert run.left() == ""
        assert host.ok(look) == finished
        assert host.ssh(f"ls {place}/01-concurrent-2/point.json").returncode == 2

        assert host.ssh("mountpoint /mnt/models").returncode != 0
        applied = rocminfra(host, "apply", "-y")
        assert applied.code == 0, applied.err
        assert host.ok(uuid) == scratch, "the scratch disk was formatted again"
        resumed = run.resume()
        assert resumed.returncode == 0, resumed.stdout
        assert "keeps 1 valid point" in resumed.stdout
        assert host.ok(look) == finished
        assert [point["outcome"] for point in run.points()] == ["valid"] * 2
        (cut_off,) = (run.folder / "superseded").iterdir()
        assert cut_off.name == "01-concurrent-2-1"
        assert verify(run.folder.parent) == ()
        assert run.left() == ""
