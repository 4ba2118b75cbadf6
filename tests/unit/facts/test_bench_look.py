"""What decides whether a benchmark can begin; its program has tests of its own."""

from __future__ import annotations

from typing import Any

from rocminfra.facts.bench_look import BenchLook

ARGUMENTS: dict[str, Any] = {
    "runs": "/var/lib/rocminfra/runs",
    "run": "r",
    "environment": "/opt/rocminfra/guidellm-0.8.1",
    "address": "127.0.0.1",
    "port": 8000,
    "model": "it's a model",
    "unit": "vllm.service",
}


def test_what_is_no_document_is_a_problem_and_not_a_ready_host() -> None:
    assert BenchLook().process(["sh: python3: not found", "exit code 127"]).problem == (
        "sh: python3: not found; exit code 127"
    )
    assert BenchLook.default().problem


def test_every_look_is_a_command_of_its_own() -> None:
    first, second = (BenchLook().command(**ARGUMENTS, asked_at=when) for when in (1.0, 2.0))
    assert first != second
