"""The pyinfra command, counting what it sends.

    python counting_pyinfra.py FILE [arguments of pyinfra]

Writes the number of SSH exec requests and of file transfer connections into FILE, as JSON.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import paramiko  # noqa: E402
from pyinfra_cli.main import main  # noqa: E402

counted: Counter[str] = Counter(execs=0, transfers=0)
exec_command, invoke_subsystem = paramiko.Channel.exec_command, paramiko.Channel.invoke_subsystem


def counting_exec(channel: Any, command: Any) -> None:
    counted["execs"] += 1
    exec_command(channel, command)


def counting_subsystem(channel: Any, subsystem: str) -> None:
    counted["transfers"] += 1
    invoke_subsystem(channel, subsystem)


paramiko.Channel.exec_command = counting_exec  # type: ignore[method-assign]
paramiko.Channel.invoke_subsystem = counting_subsystem  # type: ignore[method-assign]
report = Path(sys.argv.pop(1))
try:
    main()
finally:
    report.write_text(json.dumps(counted), encoding="utf-8")
