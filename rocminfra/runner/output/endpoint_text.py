"""How a client reaches the engine."""

from __future__ import annotations


def base_url(port: int) -> str:
    """The engine's base URL behind a port of this machine."""
    return f"http://127.0.0.1:{port}/v1"


def client_lines(url: str, model: str) -> tuple[str, ...]:
    """Python for the openai client; the engine asks for no key, and the client wants one."""
    return (
        "from openai import OpenAI",
        f"client = OpenAI(base_url={url!r}, api_key='none')",
        f"print(client.chat.completions.create(model={model!r}, messages=[{{'role': 'user', "
        "'content': 'Hello'}]).choices[0].message.content)",
    )
