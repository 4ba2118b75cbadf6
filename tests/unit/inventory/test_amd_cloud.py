"""The inventory under pyinfra's own command: options, and bad input without a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEPLOY = """\
from pyinfra.operations import python

from rocminfra.operations.host_settings import current

settings = current()
python.call(name=f"port {settings.vllm.port}", function=lambda: print("RAN"))
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    (tmp_path / "inventory").mkdir()
    shutil.copy(ROOT / "inventory" / "amd_cloud.py", tmp_path / "inventory")
    (tmp_path / "deploy.py").write_text(DEPLOY)
    return tmp_path


def pyinfra(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_hosts_file_limit_and_data_work_together(playbook: Path) -> None:
    (playbook / "inventory" / "hosts.yaml").write_text(
        'hosts:\n  "@local": {vllm: {port: 8001}}\n  other: {ssh_hostname: 203.0.113.1}\n'
    )
    run = ("inventory/amd_cloud.py", "deploy.py", "--limit", "@local")
    assert "port 8001" in pyinfra(playbook, *run).stderr
    assert "port 8002" in pyinfra(playbook, *run, "--data", "vllm.port=8002").stderr
    assert "port 8003" in pyinfra(playbook, *run, ROCMINFRA_VLLM__PORT="8003").stderr


@pytest.mark.parametrize(
    ("hosts", "arguments", "expected"),
    [
        ("hosts:\n  a: {vlm: {}}\n", (), "hosts.yaml:2: vlm: unknown key (did you mean vllm?)"),
        ("hosts:\n  a:\n", ("--limit", "b"), "--limit b matches no host"),
        (None, (), "next: cp inventory/hosts.example.yaml inventory/hosts.yaml"),
        (
            'hosts:\n  "@local":\n',
            ("--data", "vllm.prot=1"),
            "vllm.prot: unknown key (did you mean vllm.port?)",
        ),
    ],
)
def test_bad_input_ends_with_a_message_and_no_traceback(
    playbook: Path, hosts: str | None, arguments: tuple[str, ...], expected: str
) -> None:
    if hosts is not None:
        (playbook / "inventory" / "hosts.yaml").write_text(hosts)
    done = pyinfra(playbook, "inventory/amd_cloud.py", "deploy.py", *arguments)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert "RAN" not in done.stdout
