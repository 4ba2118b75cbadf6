"""``ROCMINFRA_SIM_*`` variables, and vLLM's own."""

from __future__ import annotations

import pytest

from rocminfra.lab.engine.environ import unknown_variables
from rocminfra.lab.engine.failures import RequestFailures, Verdict
from rocminfra.lab.engine.simulation import (
    FailureMode,
    Simulation,
    SimulationError,
    simulation_from,
)


def test_without_variables_nothing_is_special() -> None:
    assert simulation_from({"PATH": "/bin", "VLLM_API_KEY": "x"}) == Simulation()


def test_all_of_them() -> None:
    simulation = simulation_from(
        {
            "ROCMINFRA_SIM_TIME_SCALE": "20",
            "ROCMINFRA_SIM_KV_BLOCKS": "100",
            "ROCMINFRA_SIM_GPU": "mi325x",
            "ROCMINFRA_SIM_LOAD_SECONDS": "0",
            "ROCMINFRA_SIM_COMPUTE_FRACTION": "0.5",
            "ROCMINFRA_SIM_STEP_OVERHEAD_MS": "1.5",
        }
    )
    assert simulation == Simulation(
        time_scale=20,
        kv_blocks=100,
        gpu="mi325x",
        load_seconds=0,
        compute_fraction=0.5,
        step_overhead_ms=1.5,
    )


@pytest.mark.parametrize(
    ("text", "mode", "amount"),
    [
        ("", FailureMode.NONE, 0),
        ("slow-load", FailureMode.SLOW_LOAD, 600),
        ("slow-load:5", FailureMode.SLOW_LOAD, 5),
        ("errors:0.25", FailureMode.ERRORS, 0.25),
        ("dies-mid-run:3", FailureMode.DIES_MID_RUN, 3),
        ("hung", FailureMode.HUNG, 0),
    ],
)
def test_ways_to_fail(text: str, mode: FailureMode, amount: float) -> None:
    simulation = simulation_from({"ROCMINFRA_SIM_FAIL": text})
    assert (simulation.failure, simulation.failure_amount) == (mode, amount)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TIME_SCALES", "1", "unknown variable ROCMINFRA_SIM_TIME_SCALES; known:"),
        ("TIME_SCALE", "0", "not a positive number"),
        ("TIME_SCALE", "fast", "not a positive number"),
        ("KV_BLOCKS", "nan", "not a positive number"),
        ("KV_BLOCKS", "0.5", "not a whole number"),
        ("FAIL", "explode", "known modes are slow-load"),
        ("FAIL", "hung:3", "takes no number"),
        ("FAIL_AFTER", "3", "FAIL_AFTER needs ROCMINFRA_SIM_FAIL=hung or errors"),
    ],
)
def test_a_variable_that_means_nothing_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(SimulationError, match=words):
        simulation_from({f"ROCMINFRA_SIM_{name}": value})


def test_a_quarter_of_the_requests_is_every_fourth() -> None:
    failures = RequestFailures(
        Simulation(failure=FailureMode.ERRORS, failure_amount=0.25), lambda: None
    )
    verdicts = [failures.next_request() for _ in range(8)]
    assert [index for index, verdict in enumerate(verdicts) if verdict is Verdict.ERROR] == [3, 7]


def test_variables_that_vllm_dropped_are_unknown() -> None:
    environ = {
        "VLLM_USE_TRITON_FLASH_ATTN": "1",
        "VLLM_API_KEY": "x",
        "VLLM_CACHE_ROOT": "/x",
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        "VLLM_ROCM_USE_AITER": "1",
        "HF_HOME": "/x",
    }
    assert unknown_variables(environ) == ["VLLM_USE_TRITON_FLASH_ATTN"]


@pytest.mark.parametrize(("mode", "verdict"), [("hung", Verdict.HANG), ("errors:1", Verdict.ERROR)])
def test_a_failure_may_begin_later(mode: str, verdict: Verdict) -> None:
    simulation = simulation_from({"ROCMINFRA_SIM_FAIL": mode, "ROCMINFRA_SIM_FAIL_AFTER": "2"})
    failures = RequestFailures(simulation, lambda: None)
    served = [Verdict.SERVE, Verdict.SERVE]
    assert [failures.next_request() for _ in range(4)] == [*served, verdict, verdict]
