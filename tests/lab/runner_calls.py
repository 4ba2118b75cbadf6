"""The runner's verbs on one droplet, and whether its engine answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab_host import LabHost

ROOT = Path(__file__).parents[2]
# Prints 200 where the engine of the reference run answers.
COMPLETION = (
    "python3 -c 'import json, urllib.request as u; body = json.dumps(dict("
    'model="Qwen/Qwen2-VL-72B-Instruct", prompt="a", max_tokens=1)).encode(); '
    'print(u.urlopen(u.Request("http://127.0.0.1:8000/v1/completions", body, '
    '{"Content-Type": "application/json"})).status)\''
)


def rocminfra(host: LabHost, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rocminfra", verb, "-i", "inventory/lab.py", *words]
    return subprocess.run(
        [*command, "--limit", host.name],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )


def apply(host: LabHost, *words: str) -> subprocess.CompletedProcess[str]:
    return rocminfra(host, "apply", "-y", *words)
