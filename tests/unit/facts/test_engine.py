"""How the engine is."""

from __future__ import annotations

from rocminfra.facts.engine import EngineReadiness, EngineStatus


def test_engine_status() -> None:
    text = '{"config": "abc", "container": "c1", "log": ["x"], "reason": "r", "state": "loading"}'
    assert EngineReadiness().process([text]) == EngineStatus("loading", "r", "abc", "c1", ("x",))
    assert EngineReadiness.default().state == "dead"


def test_its_arguments_are_quoted() -> None:
    assert "'m m'" in str(EngineReadiness().command("u", "c", 1, "m m"))
