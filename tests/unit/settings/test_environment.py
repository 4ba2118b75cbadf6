"""Settings from environment variables."""

from __future__ import annotations

import pytest

from rocminfra.settings import SettingsError, known_keys, load_settings
from rocminfra.settings.environment import environment_settings, known_variables, variable


def refused(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        environment_settings(environ)
    return [str(problem) for problem in caught.value.problems]


def test_values_are_read_as_yaml() -> None:
    found = environment_settings(
        {
            "ROCMINFRA_VLLM__MAX_NUM_SEQS": "32",
            "ROCMINFRA_VLLM__ENABLE_CHUNKED_PREFILL": "true",
            "ROCMINFRA_VLLM__GPU_MEMORY_UTILIZATION": "0.8",
            "ROCMINFRA_VLLM__EXTRA_ARGS": "[--a, '1']",
            "ROCMINFRA_MODEL__REVISION": "null",
            "ROCMINFRA_MODEL__NAME": "org/model",
        }
    )
    assert found == {
        "vllm.max_num_seqs": 32,
        "vllm.enable_chunked_prefill": True,
        "vllm.gpu_memory_utilization": 0.8,
        "vllm.extra_args": ["--a", "1"],
        "model.revision": None,
        "model.name": "org/model",
    }
    assert load_settings(found).vllm.max_num_seqs == 32


def test_every_key_but_wipe_has_a_variable() -> None:
    assert set(known_variables().values()) == set(known_keys()) - {"wipe"}


def test_what_others_read_passes() -> None:
    environ = {
        "PATH": "/bin",
        "ROCMINFRA_LAB_CACHE": "/x",
        "ROCMINFRA_SIM_SCALE": "10",
        "ROCMINFRA_HOSTS": "203.0.113.1",
        "ROCMINFRA_HOSTS_FILE": "x",
    }
    assert environment_settings(environ) == {}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ROCMINFRA_VLLM__MAX_NUM_SEQ", "ROCMINFRA_VLLM__MAX_NUM_SEQS"),
        ("ROCMINFRA_VLLM_PORT", "ROCMINFRA_VLLM__PORT"),
        ("ROCMINFRA_MAX_NUM_SEQS", "ROCMINFRA_VLLM__MAX_NUM_SEQS"),
        ("ROCMINFRA_HOST", "ROCMINFRA_HOSTS"),
        ("ROCMINFRA_HOSTSFILE", "ROCMINFRA_HOSTS_FILE"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest(name: str, hint: str) -> None:
    assert refused({name: "1"}) == [f"environment: {name}: unknown variable (did you mean {hint}?)"]


def test_a_value_that_is_no_yaml_is_refused() -> None:
    (problem,) = refused({variable("vllm.extra_args"): "[a"})
    assert problem.startswith("environment: ROCMINFRA_VLLM__EXTRA_ARGS: is not a valid YAML value")


def test_a_wipe_token_does_not_lie_around_in_the_environment() -> None:
    assert refused({"ROCMINFRA_WIPE": "a:b:c"}) == [
        "environment: ROCMINFRA_WIPE: a wipe token is given for one run: --wipe TOKEN"
    ]


def test_all_problems_come_at_once() -> None:
    assert len(refused({"ROCMINFRA_A": "1", "ROCMINFRA_B": "2"})) == 2
