"""How a client reaches the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rocminfra.runner.run.results import HostResult


def base_url(port: int) -> str:
    """The engine's base URL behind a port of this machine."""
    return f"http://127.0.0.1:{port}/v1"


def served_lines(hosts: Sequence[HostResult], command: Callable[[str, str], str]) -> list[str]:
    """How to use what an apply has made serve, for each host; empty when nothing serves.

    + command: the whole command line of a verb for one host
    """
    lines: list[str] = []
    for host in hosts:
        if host.served is None:
            continue
        cost = f", ${host.usd_per_hour:.2f} an hour" if host.usd_per_hour else ""
        at = f"{host.served.address}:{host.served.port}"
        lines += ["", f"{host.name} serves {host.served.model} at {at}{cost}"]
        lines.append(f"to reach it from here: {command('tunnel', host.name)}")
    first = next((host.served for host in hosts if host.served is not None), None)
    if first is not None:
        client = client_lines(base_url(first.port), first.model)
        lines += ["and then, in Python:", *(f"    {line}" for line in client)]
    return lines


def client_lines(url: str, model: str) -> tuple[str, ...]:
    """Python for the openai client; the engine asks for no key, and the client wants one."""
    return (
        "from openai import OpenAI",
        f"client = OpenAI(base_url={url!r}, api_key='none')",
        f"print(client.chat.completions.create(model={model!r}, messages=[{{'role': 'user', "
        "'content': 'Hello'}]).choices[0].message.content)",
    )
