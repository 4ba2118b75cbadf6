"""The gate before any change, and the comparison after the start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failing import next_of
from pyinfra.context import ctx_state

from rocminfra.facts.engine_cache import EngineCache, EngineCacheConfig
from rocminfra.facts.gpu_memory import GpuMemory
from rocminfra.failure import ExitCode
from rocminfra.operations import capacity
from rocminfra.operations.host_failures import failures
from rocminfra.planning.capacity.fit import DoesNotFit, Fits, NotChecked
from rocminfra.planning.model.reference import REFERENCE_NAME


def test_a_model_that_fits_goes_on_without_a_word(scripted: Any) -> None:
    scripted.facts[GpuMemory] = (196_288,)
    assert isinstance(capacity.gate(REFERENCE_NAME), Fits)
    assert scripted.logged == []
    assert failures(scripted) == ()


def test_a_model_that_cannot_fit_takes_the_host_out(scripted: Any) -> None:
    scripted.facts[GpuMemory] = (65_520,)
    with_state: Any = ctx_state.get()
    with_state.active_hosts = {scripted}
    assert isinstance(capacity.gate(REFERENCE_NAME), DoesNotFit)
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.UNFIT
    assert next_of(failure) == "the same command with --data vllm.tensor_parallel_size=4"
    assert with_state.active_hosts == set()


def test_an_unknown_model_is_not_judged_and_no_gpu_is_asked(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert isinstance(capacity.gate("somebody/unknown"), NotChecked)
    assert scripted.asked == []
    assert "not checked" in scripted.logged[0]


@pytest.mark.parametrize(
    "wanted", [{"tensor_parallel": 8}, {"extra_args": ["--pipeline-parallel-size", "2"]}]
)
def test_an_unknown_model_needs_its_gpus_too(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    scripted.facts[GpuMemory] = (196_288,)
    with_state: Any = ctx_state.get()
    with_state.active_hosts = {scripted}
    assert isinstance(capacity.gate("somebody/unknown", **wanted), DoesNotFit)
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.UNFIT
    assert with_state.active_hosts == set()
    scripted.facts[GpuMemory] = (196_288,) * 8
    assert isinstance(capacity.gate("somebody/unknown", **wanted), NotChecked)


def test_a_folder_is_read(scripted: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_next"}))
    assert isinstance(capacity.gate(str(tmp_path)), NotChecked)
    assert "qwen3_next" in scripted.logged[0]


@pytest.mark.parametrize(
    ("executing", "started", "asked", "said"),
    [(False, True, 0, 0), (True, False, 0, 0), (True, True, 1, 1)],
)
def test_the_engine_is_asked_only_after_its_start(
    scripted: Any, run: Any, executing: bool, started: bool, asked: int, said: int
) -> None:
    scripted.facts[GpuMemory] = (196_288,)
    plan = capacity.gate(REFERENCE_NAME)
    scripted.asked.clear()
    scripted.facts[EngineCacheConfig] = EngineCache(6_590, 16)
    state: Any = ctx_state.get()
    state.is_executing = executing
    outcome = run(capacity.compared, plan=plan, port=8_000, started=lambda: started)
    assert outcome.commands == []
    assert len(scripted.asked) == asked
    assert sum("as planned" in line for line in scripted.logged) == said
    assert len(scripted.noops) == 1


def test_an_engine_that_does_not_say_is_no_failure(scripted: Any, run: Any) -> None:
    scripted.facts.update({GpuMemory: (196_288,), EngineCacheConfig: None})
    plan = capacity.gate(REFERENCE_NAME)
    state: Any = ctx_state.get()
    state.is_executing = True
    assert run(capacity.compared, plan=plan, port=8_000, started=lambda: True).commands == []
    assert failures(scripted) == ()


def test_gpus_that_the_environment_hides_are_none_of_the_engines(scripted: Any) -> None:
    scripted.facts[GpuMemory] = (196_288, 196_288)
    with_state: Any = ctx_state.get()
    with_state.active_hosts = {scripted}
    hidden = {"HIP_VISIBLE_DEVICES": "1"}
    assert isinstance(capacity.gate(REFERENCE_NAME, environment=hidden), Fits)
    capacity.gate(REFERENCE_NAME, tensor_parallel=2, environment=hidden)
    (failure,) = failures(scripted)
    assert failure.what == (
        "tensor_parallel_size is 2 and the host has 2 GPUs, of which the engine sees 1 "
        "(HIP_VISIBLE_DEVICES=1 in engine.environment)"
    )
    assert next_of(failure) == "the same command with --data vllm.tensor_parallel_size=1"


def test_partitions_are_small_gpus(scripted: Any) -> None:
    scripted.facts[GpuMemory] = (24_574,) * 8
    with_state: Any = ctx_state.get()
    with_state.active_hosts = {scripted}
    assert isinstance(capacity.gate(REFERENCE_NAME), DoesNotFit)
