"""What an apply says of the engines that serve after it."""

from __future__ import annotations

import ast

from rocminfra.planning.serving import Served
from rocminfra.runner.output.endpoint_text import served_lines
from rocminfra.runner.run.results import HostResult, HostState


def command(verb: str, host: str) -> str:
    return f"rocminfra {verb} -i hosts.py --limit {host}"


def test_every_engine_has_its_tunnel_and_its_price_and_the_client_is_shown_once() -> None:
    served = Served("Qwen/x", "127.0.0.1", 8000)
    hosts = [
        HostResult("gpu-1", HostState.DONE, served=served, usd_per_hour=1.99),
        HostResult("gpu-2", HostState.DONE, served=served),
        HostResult("gpu-3", HostState.FAILED),
    ]
    lines = served_lines(hosts, command)
    assert "gpu-1 serves Qwen/x at 127.0.0.1:8000, $1.99 an hour" in lines
    assert "gpu-2 serves Qwen/x at 127.0.0.1:8000" in lines
    assert lines.count("to reach it from here: rocminfra tunnel -i hosts.py --limit gpu-2") == 1
    client = lines[lines.index("and then, in Python:") + 1 :]
    ast.parse("\n".join(line.strip() for line in client))
    assert len(client) == 3


def test_where_nothing_serves_nothing_is_said() -> None:
    assert served_lines([HostResult("gpu-3", HostState.FAILED)], command) == []
